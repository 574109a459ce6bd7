"""Rows as a model reads them, for tests that want one prompt or the reason why there is none."""

from relabel.errors import RowRejected
from relabel.job.encoding.row import RowEncoder
from relabel.rejected import Rejected


def encode(encoder: RowEncoder, row):
    """What the model reads of a row with one label. Raises RowRejected where it cannot."""
    (encoded,) = encoder.encode(row)
    if isinstance(encoded, Rejected):
        raise RowRejected(encoded.code, encoded.detail)
    return encoded
