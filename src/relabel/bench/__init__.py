"""`relabel bench`: the engines beside what transformers gives, on one workload in one run, on any device.

Knows the engine, and models and prompts that it makes itself. Must never know Ray, data or jobs: it runs where only
torch, transformers and rich are installed, as `python -m relabel.bench`.
"""

from relabel.bench.run import run_bench
from relabel.bench.show import show_bench

__all__ = ["run_bench", "show_bench"]
