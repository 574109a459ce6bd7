"""Imported where processes are forked from: what else each of them would import, and load, by itself."""

import pandas  # noqa: F401  pyarrow imports it when it makes its first array of Python values
import pyarrow.compute  # noqa: F401

from relabel.demo import MODEL_PATH
from relabel.engine import load_processor
from tests.faults import job  # noqa: F401

load_processor(str(MODEL_PATH), None)
