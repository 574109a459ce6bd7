"""What relabel does on one GPU: `bash benchmarks/gpu.sh`. Each part is measured in a process of its own."""
