"""`relabel init`: a first spec, written from what lies there. Asks nothing, loads no model, overwrites nothing."""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from relabel.data.draft.columns import look
from relabel.data.draft.form import find_data
from relabel.data.draft.spec_text import spec_text
from relabel.errors import Refused
from relabel.spec import make_spec
from relabel.spec.words import load_yaml

_NVIDIA = Path("/dev/nvidia0")


def init(paths: Sequence[str], spec: Path, *, model: str | None = None) -> dict[str, object]:
    """Write a commented spec of the data that `paths` name, and say what was found.

    Raises Refused where no such data is there, where it cannot be read, and where `spec` exists.
    """
    data = find_data(paths)
    columns = look(data)
    text = spec_text(data, columns, model=model, output=_output(paths[0]), has_gpu=_NVIDIA.exists())
    make_spec(cast(Mapping[str, object], load_yaml(text)), str(spec))
    try:
        with spec.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        remedy = "name another by -o" if error.errno == errno.EEXIST else "name a file that can be written by -o"
        raise Refused(f"{spec}: {error.strerror}; {remedy}") from error
    return {
        "spec": str(spec),
        "format": data.source.format,
        "files": data.num_files,
        "passed_over": dict(data.passed_over.most_common()),
        "looked_into": data.file.url,
        "columns": {column.name: str(column.holds) for column in columns},
    }


def _output(path: str) -> str:
    """A folder beside the spec, named for the data."""
    words = [word for word in re.split(r"[^A-Za-z0-9]+", Path(path).name.partition(".")[0]) if word]
    return "-".join([*words, "labels"])
