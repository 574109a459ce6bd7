"""The types that tests of labels name most."""

import pyarrow as pa

STRING, INT, FLOAT, BOOL = pa.string(), pa.int64(), pa.float64(), pa.bool_()
POINT = {"type": "object", "properties": {"x": {"type": "integer"}, "y": {"type": "number"}}}
POINT_TYPE = pa.struct([("x", INT), ("y", FLOAT)])
