"""relabel beside Ray Data LLM: `python -m benchmarks.peers`. Each run is a process of its own, watched from outside."""
