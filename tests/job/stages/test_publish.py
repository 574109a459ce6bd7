"""What publishing needs, and what it must not."""

import subprocess
import sys

SCRIPT = """
import sys
import pyarrow as pa
from relabel.data.sources.unit import SourceFile, Unit
from relabel.data.store.store import Store
import relabel.job.worker  # what the process of a publisher imports
from relabel.job.job import Job
from relabel.job.stages import block as blocks
from relabel.job.stages.completions import Completion
from relabel.job.stages.publish import publish_unit
from relabel.spec import make_spec

fields = {"source": {"path": "a", "format": "jsonl"}, "prompt": {"user": "x"}, "model": {"path": "m"}}
spec = make_spec({**fields, "output": {"path": sys.argv[1]}})
job = Job(fingerprint="0" * 64, spec=spec, kept=pa.schema([]))
unit = Unit(file=SourceFile(path="a.jsonl", url="a.jsonl", size=1, version=""), index=0, first_row=0, num_rows=2)
texts = [[Completion(text="a circle", finish_reason="stop", attempts=1, num_tokens=2)], None]
columns = {
    blocks.REASON: pa.array([None, "prompt: x"]),
    blocks.PROMPT_TOKENS: pa.array([3, None], pa.int32()),
    blocks.TEXTS: blocks.completions_column(texts),
}
block = blocks.unit_block(unit, pa.table({"dropped": [1, 2]}).select([]), columns)
receipt = publish_unit(block, job, Store(sys.argv[1]))
assert (receipt.failure, receipt.ok, receipt.rejected) == (None, 1, 1), receipt
assert (receipt.prompt_tokens, receipt.output_tokens) == (3, 2), receipt
print(sorted({"transformers", "torch", "tokenizers", "ray"} & sys.modules.keys()))
"""


def test_a_publisher_loads_neither_a_tokenizer_nor_torch(tmp_path):
    """Each cost 5 CPU seconds of imports, when texts travelled as token ids."""
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
