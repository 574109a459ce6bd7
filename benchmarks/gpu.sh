#!/usr/bin/env bash
# What relabel does on one NVIDIA GPU, in at most eight minutes: the roofline, the tests marked `gpu`, texts of an 8B shape,
# images, and where the time of steps goes. It prints as it goes and writes one JSON after every item, so that a run that is
# cut off is worth something: benchmarks/results/gpu_<card>.json, or in $OUT where that is set.
#
#   bash benchmarks/gpu.sh              on a machine with a CUDA device
#   bash benchmarks/gpu.sh --dry        on a CPU with tiny shapes, in about a minute
#   bash benchmarks/gpu.sh --only text  one part, or several between commas: roofline, checks, text, images
#
# It needs Python 3.11 or later, torch 2.11 or later and transformers 5.17 or later, which bring most of what else it needs, and
# pytest, pytest-timeout, hypothesis, regex, rich, jinja2 and pillow; neither Ray nor a network. What is missing is installed
# from wheels in benchmarks/wheels/, which are fetched where there is a network by
#
#   python3 -m pip download --no-deps --only-binary=:all: --python-version 3.12 --implementation cp \
#       --platform manylinux_2_34_x86_64 --platform manylinux_2_31_x86_64 --platform manylinux_2_28_x86_64 \
#       --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 -d benchmarks/wheels 'llguidance>=1.8,<2'
#
# llguidance alone is missing on a machine with the packages above; without it the test of constrained text is skipped.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
export PYTHONPATH="src:.${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
export TEARDOWN_CUPTI=0 DISABLE_CUPTI_LAZY_REINIT=1 # a profiler that goes beside CUDA graphs may take the process with it

missing=$("$python" - <<'PY'
import importlib.util
needed = {name: name for name in ("torch", "transformers", "llguidance", "regex", "rich", "jinja2", "numpy", "tokenizers",
                                  "safetensors", "pytest", "hypothesis")}
needed |= {"PIL": "pillow", "huggingface_hub": "huggingface-hub", "pytest_timeout": "pytest-timeout", "xdist": "pytest-xdist"}
print(*(package for name, package in needed.items() if importlib.util.find_spec(name) is None))
PY
)
if [ -n "$missing" ] && compgen -G "benchmarks/wheels/*.whl" >/dev/null; then
    for name in $missing; do # one at a time: what has no wheel shall not keep the others out
        "$python" -m pip install -q --no-index --find-links benchmarks/wheels "$name" || echo "$name has no wheel in benchmarks/wheels"
    done
elif [ -n "$missing" ]; then
    echo "missing, and no wheels in benchmarks/wheels: $missing"
fi
exec "$python" -m benchmarks.gpu "$@"
