"""Which errors mean that memory ran out, and which that the device is lost. Knows their names and texts, not torch."""

from __future__ import annotations

_OUT_OF_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "CUDA out of memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


def is_out_of_memory(error: BaseException) -> bool:
    """True for the errors by which torch tells that memory ran out, on CUDA and on the CPU."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _OUT_OF_MEMORY)


def is_device_fault(error: BaseException) -> bool:
    """True where the CUDA context is lost (device-side assert, illegal address, ECC) or the processes of a vLLM are
    gone: no later call can succeed."""
    if type(error).__name__ == "EngineDeadError":
        return True
    is_cudas = type(error).__name__ == "AcceleratorError" or "CUDA error" in str(error)
    return isinstance(error, RuntimeError) and is_cudas and not is_out_of_memory(error)
