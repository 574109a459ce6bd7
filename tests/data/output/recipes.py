"""Three source files, and recipes that differ in one field."""

from tests.outputs import RECIPE, planned_file

A, B, C = (planned_file(f"{name}.parquet", 10) for name in "abc")
OTHER = RECIPE | {"sampling": {"seed": 2}}
THIRD = RECIPE | {"sampling": {"seed": 3}}
