"""vLLM's own server on a CPU, as long as a block lasts."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager, suppress

START_SECONDS = 240


@contextmanager
def serving(folder, max_tokens=512):
    """Its URL. Rows may have `max_tokens`, prompt and text together."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    command = [
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", folder),
        *("--port", port, "--host", "127.0.0.1"),
        *("--dtype", "float32", "--enforce-eager", "--max-model-len", max_tokens, "--max-num-seqs", 32),
        *("--max-num-batched-tokens", 2048, "--no-enable-chunked-prefill", "--generation-config", "vllm"),
        *("--structured-outputs-config.backend", "guidance", "--served-model-name", "tiny"),
    ]
    quiet = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}
    environment = {**os.environ, **quiet, "VLLM_LOGGING_LEVEL": "WARNING"}
    server = subprocess.Popen(list(map(str, command)), env=environment, start_new_session=True)
    try:
        for _ in range(START_SECONDS):
            assert server.poll() is None, "it did not begin"
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                break
            time.sleep(1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        with suppress(subprocess.TimeoutExpired):
            server.wait(20)
        with suppress(ProcessLookupError):
            os.killpg(server.pid, 9)
