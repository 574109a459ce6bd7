"""What the sources import of others is declared, and none of it is trusted with code."""

import re
import sys
import tomllib

from tests.imports import PACKAGE, ROOT, imports_of

SOURCES = sorted(PACKAGE.rglob("*.py"))


def test_what_is_imported_is_declared_and_what_is_declared_is_imported():
    """What another package happens to bring, its next version may not."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = names_of(project["dependencies"])
    extras = names_of(name for some in project["optional-dependencies"].values() for name in some)
    packages = {name.partition(".")[0] for path in SOURCES for name in imports_of(path)}
    imported = packages - {"relabel", *sys.stdlib_module_names}
    assert {
        {"PIL": "pillow", "yaml": "pyyaml", "lance": "pylance"}.get(name, name) for name in imported
    } - extras == declared


def names_of(requirements):
    return {re.split(r"[\[<>=]", name)[0].lower().replace("-", "_") for name in requirements}


def test_nothing_trusts_code_from_a_model_or_from_data():
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        assert "trust_remote_code=True" not in text
        assert "LOAD_TRUNCATED_IMAGES = True" not in text
        assert not {"pickle", "cloudpickle"} & set(imports_of(path)), path
