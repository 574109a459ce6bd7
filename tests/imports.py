"""What the files of the package import, and which files of it that are."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "relabel"


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from {_module(node.module, alias.name) for alias in node.names}


def _module(package, name):
    """`from relabel.job.stages import block` names a module, `from relabel.errors import Refused` does not."""
    inner = f"{package}.{name}"
    return inner if (PACKAGE.parent / f"{inner.replace('.', '/')}.py").exists() else package


def path_of(module):
    """The file of a module of our own, by its path below the package."""
    path = module.replace(".", "/").removeprefix("relabel").removeprefix("/")
    return f"{path}.py" if (PACKAGE / f"{path}.py").exists() else f"{path}/__init__.py".removeprefix("/")


def own_imports(path):
    return {path_of(name) for name in imports_of(path) if name.partition(".")[0] == "relabel"}


def below(path):
    return path.relative_to(PACKAGE).as_posix()
