"""The rules of the house that a reviewer would otherwise have to check by hand. Rooms and imports: ROOMS."""

import ast
import statistics
import subprocess
import sys
from collections.abc import Set
from dataclasses import dataclass

import pytest

from tests.imports import PACKAGE, below, imports_of, own_imports

SOURCES = sorted(PACKAGE.rglob("*.py"))


@dataclass(frozen=True, kw_only=True)
class Room:
    """What the files of a folder may import, beside the standard library, each other, `errors.py` and `rejected.py`."""

    knows: Set[str] = frozenset()
    """Rooms, or single files of rooms."""
    packages: Set[str] = frozenset()
    """Of third parties."""


ENGINE_ROOMS = {"engine/grammar", "engine/api", "engine/scheduling", "engine/checkpoint", "engine/model"}
ENGINE_ROOMS |= {f"engine/{name}" for name in ("sampling", "runner", "continuous", "static", "vllm", "server")}
WORDS_OF_VLLM = {"engine/vllm/sampling.py", "engine/vllm/outcome.py"}
GUEST_ROOMS = {"engine/api", "engine/checkpoint", "engine/model", "engine/sampling"}
DATA_ROOMS = {f"data/{name}" for name in ("sources", "images", "prompts", "labels", "quality", "store")}
DATA_ROOMS |= {"storage", "data/runs", "data/output", "data/tables"}
STAGE_ROOMS = {"spec", *DATA_ROOMS, "engine/__init__.py", "engine/api", "job/job.py", "job/engine.py", "job/receipt.py"}
PLAN = {f"data/sources/{name}.py" for name in ("unit", "parts", "plan")}
RUNNING = {"data/runs", "data/store", "job/course.py", "job/forecast/hours.py"}
ENCODING_ROOMS = {"spec", "data/labels/reasoning.py", "data/labels/reasoning_formats.py", "data/prompts"}
ENCODING_ROOMS |= {"engine/__init__.py", "engine/api", "job/engine.py"}
ROOMS = {
    "spec": Room(
        knows={"spec/engines", "spec/running", "spec/schemas"}, packages={"jsonschema_rs", "pydantic", "regex", "yaml"}
    ),
    "spec/schemas": Room(knows={"spec/words.py"}, packages={"jsonschema_rs", "pydantic", "yaml"}),
    "spec/engines": Room(knows={"spec"}, packages={"pydantic"}),
    "spec/running": Room(knows={"spec/section.py"}, packages={"pydantic"}),
    "storage": Room(packages={"obstore", "pyarrow"}),
    "data/sources": Room(knows={"spec", "storage", "data/sources/formats"}, packages={"fsspec", "pyarrow", "pydantic"}),
    "data/sources/formats": Room(knows={"spec", "data/sources"}, packages={"pyarrow"}),
    "data/images": Room(knows={"storage", "data/sources/files.py"}, packages={"PIL", "numpy", "obstore", "pyarrow"}),
    "data/prompts": Room(knows={"spec"}, packages={"jinja2", "pydantic"}),
    "data/labels": Room(knows={"spec"}, packages={"jsonschema_rs", "pyarrow", "pydantic", "regex"}),
    "data/quality": Room(knows={"spec", "data/labels"}, packages={"numpy", "pydantic"}),
    "data/store": Room(
        knows={"data/sources/unit.py", "data/quality", "storage"}, packages={"obstore", "pyarrow", "pydantic"}
    ),
    "data/hub": Room(
        knows={"data/exports", "data/output", "data/store"}, packages={"huggingface_hub", "pyarrow", "yaml"}
    ),
    "data/draft": Room(
        knows={"spec", "data/images", "data/prompts", "data/sources", "data/sources/formats/format.py"},
        packages={"pyarrow", "yaml"},
    ),
    "data/runs": Room(knows={"data/store"}, packages={"pydantic"}),
    "data/output": Room(
        knows={"spec", *PLAN, "data/labels", "data/quality", "data/store", "data/runs"},
        packages={"numpy", "pyarrow", "pydantic"},
    ),
    "data/exports": Room(
        knows={"spec", "storage", *(f"data/{name}" for name in ("sources", "images", "labels", "quality"))}
        | {"data/store", "data/output", "version.py"},
        packages={"numpy", "obstore", "pyarrow", "pydantic"},
    ),
    "data/tables": Room(
        knows={"spec/running/table.py", "data/sources/files.py", "data/store", "data/output"}
        | {"data/sources/finding.py", "data/exports/published.py"},
        packages={"deltalake", "lance", "pyarrow", "pyiceberg"},
    ),
    "engine/grammar": Room(packages={"llguidance", "regex"}),
    "engine/api": Room(knows={"engine/grammar"}, packages={"numpy"}),
    "engine/scheduling": Room(),
    "engine/checkpoint": Room(
        knows={"storage"}, packages={"huggingface_hub", "obstore", "peft", "torch", "transformers"}
    ),
    "engine/model": Room(
        knows={"engine/api", "engine/checkpoint"}, packages={"jinja2", "numpy", "torch", "transformers"}
    ),
    "engine/sampling": Room(
        knows={"engine/api", "engine/model"}, packages={"llguidance", "numpy", "torch", "transformers"}
    ),
    "engine/runner": Room(
        knows={"engine/api", "engine/model", "engine/scheduling/step.py"}, packages={"numpy", "torch", "transformers"}
    ),
    "engine/static": Room(
        knows={"engine/api", "engine/model", "engine/sampling", "engine/scheduling/batching.py"},
        packages={"torch", "transformers"},
    ),
    "engine/continuous": Room(
        knows={"engine/api", "engine/model", "engine/sampling", "engine/scheduling", "engine/runner"},
        packages={"torch", "transformers"},
    ),
    "engine/vllm": Room(knows={*GUEST_ROOMS, "engine/loop.py"}, packages={"numpy", "torch", "transformers", "vllm"}),
    "engine/server": Room(knows={*GUEST_ROOMS, *WORDS_OF_VLLM, "engine/loop.py"}, packages={"aiohttp", "transformers"}),
    "engine": Room(knows=ENGINE_ROOMS, packages={"PIL", "numpy", "torch", "transformers"}),
    "job/engines": Room(
        knows={"spec", "data/output", "data/store", *GUEST_ROOMS, "engine/vllm", "engine/server", "engine/parity.py"}
    ),
    "job/faults": Room(knows={"data/sources/unit.py"}),
    "job/progress": Room(
        knows={*RUNNING, "engine/__init__.py", "engine/api", "version.py", "job/job.py", "job/receipt.py"},
        packages={"rich"},
    ),
    "job/metrics": Room(knows={*RUNNING, "engine/__init__.py", "job/faults", "job/progress", "job/stream"}),
    "job/budget": Room(knows={*RUNNING, "spec", "job/progress/engines.py"}),
    "job/notify": Room(knows={"spec", "version.py"}),
    "job/stream": Room(knows={"data/sources/unit.py", "job/course.py", "job/receipt.py"}, packages={"pyarrow"}),
    "job/encoding/settings": Room(
        knows={*ENCODING_ROOMS, "data/labels/parsers.py", "data/sources/formats/openai.py"},
        packages={"pydantic", "regex"},
    ),
    "job/encoding": Room(
        knows={*ENCODING_ROOMS, "data/sources", "data/images", "engine/model", "job/encoding/settings"},
        packages={"PIL", "jinja2", "numpy", "pyarrow", "pydantic"},
    ),
    "job/stages": Room(
        knows={*STAGE_ROOMS, "engine/model", "job/encoding", "job/faults", "job/rejects/tally.py", "job/stream"},
        packages={"numpy", "pyarrow", "safetensors"},
    ),
    "job/tail": Room(knows={"job/progress", "job/stages", "job/stream", "job/worker.py"}, packages={"pyarrow"}),
    "job/rejects": Room(knows={"spec", "data/sources", "job/job.py", "job/encoding"}, packages={"pyarrow"}),
    "job/forecast": Room(knows={"engine/scheduling", "engine/model/sizes.py"}, packages={"numpy", "pydantic"}),
    "job/sample": Room(
        knows={
            *STAGE_ROOMS,
            *("engine/model", "engine/scheduling", "engine/continuous/threads.py", "version.py", "job/worker.py"),
            *(f"job/{name}" for name in ("encoding", "faults", "forecast", "rejects", "stages")),
        },
        packages={"pyarrow", "pydantic", "rich", "torch"},
    ),
    "job/cluster": Room(
        knows={*STAGE_ROOMS, "job/course.py", "job/faults", "job/stages/block.py", "job/stream"}
        | {"job/metrics", "job/progress/ticker.py", "job/tail", "job/worker.py"},
        packages={"pyarrow", "ray"},
    ),
    "job": Room(
        knows={
            *STAGE_ROOMS,
            *(f"job/{name}" for name in ("budget", "cluster", "encoding", "engines", "faults", "metrics")),
            *(f"job/{name}" for name in ("notify", "progress", "rejects", "stages", "stream", "sample")),
            *("engine", "version.py"),
        },
        packages={"pandas", "pyarrow", "rich"},
    ),
    "bench": Room(
        knows={"engine", *ENGINE_ROOMS, "version.py", "bench/images"},
        packages={"rich", "tokenizers", "torch", "transformers"},
    ),
    "bench/images": Room(
        knows={"engine", "engine/api", "engine/model", "bench"},
        packages={"PIL", "numpy", "tokenizers", "torch", "transformers"},
    ),
    "report": Room(
        knows={
            "spec",
            *DATA_ROOMS,
            "version.py",
            "job/forecast/hours.py",
            "job/sample/kept.py",
            "job/stages/measure.py",
        },
        packages={"PIL", "jinja2", "numpy", "pyarrow"},
    ),
    "demo": Room(knows={"spec", "job/run.py", "job/executor.py"}, packages={"PIL", "pyarrow", "rich"}),
    "": Room(knows={"spec", "data", "job", "bench", "demo", "report"}, packages={"rich", "typer"}),
}


def room_of(path):
    """The innermost room of a file, by its path below the package."""
    return max((room for room in ROOMS if not room or path.startswith(f"{room}/")), key=len)


def test_the_sources_are_found():
    assert len(SOURCES) > 30


@pytest.mark.parametrize("path", SOURCES, ids=below)
def test_a_room_imports_what_its_row_names(path):
    name = room_of(below(path))
    room = ROOMS[name]
    for other in own_imports(path) - {"errors.py", "rejected.py", "__init__.py" * (name != "")}:
        is_known = any(other == known or other.startswith(f"{known}/") for known in room.knows)
        assert is_known or room_of(other) == name, f"{name or 'the top'} may not know {other}"
    packages = {module.partition(".")[0] for module in imports_of(path)} - {"relabel", *sys.stdlib_module_names}
    assert packages <= room.packages, f"{name or 'the top'} may not import {packages - room.packages}"


def test_every_folder_is_a_room_and_every_room_a_folder():
    folders = {path.parent.relative_to(PACKAGE).as_posix().removeprefix(".") for path in SOURCES}
    assert folders - set(ROOMS) == {"data"}, "data has no files but its rooms"
    assert set(ROOMS) <= folders


def test_the_contract_of_engines_the_scheduler_and_the_scripted_engine_import_no_torch():
    modules = [
        f"relabel.{below(path)[:-3].replace('/', '.')}"
        for path in SOURCES
        if room_of(below(path)) in ("engine/api", "engine/scheduling") or below(path) == "engine/scripted.py"
    ]
    code = f"import importlib, sys; [importlib.import_module(name) for name in {modules}]"
    code += "; assert not {'torch', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_file_of_the_cluster_knows_ray_and_no_other_does():
    users = {below(path) for path in SOURCES if any(name.partition(".")[0] == "ray" for name in imports_of(path))}
    cluster = {below(path) for path in SOURCES if room_of(below(path)) == "job/cluster" and path.name != "__init__.py"}
    assert users == cluster


def test_no_file_imports_itself_by_way_of_others():
    known = {below(path): own_imports(path) for path in SOURCES if below(path) != "__init__.py"}
    done = set()

    def visit(path, trail):
        assert path not in trail, " -> ".join([*trail[trail.index(path) :], path])
        if path not in done:
            for other in known.get(path, ()):
                visit(other, [*trail, path])
            done.add(path)

    for path in known:
        visit(path, [])


def test_a_room_has_at_most_twelve_files():
    files = [room_of(below(path)) for path in SOURCES if path.name != "__init__.py"]
    assert {room: files.count(room) for room in ROOMS if files.count(room) > 12} == {}


@pytest.mark.parametrize("path", SOURCES, ids=below)
def test_a_file_is_short_and_says_what_it_knows(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 250
    assert not text or ast.get_docstring(ast.parse(text)), "a module docstring says what it knows and must never know"


def test_half_of_the_files_are_under_ninety_lines():
    lengths = [len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES]
    assert statistics.median(length for length in lengths if length) <= 90
