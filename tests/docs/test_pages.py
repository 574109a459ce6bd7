"""What the pages say is so: their specs load, their commands exist, their links lead somewhere."""

import ast
import importlib
import re
import shlex

import pytest
import typer
import yaml

from relabel.cli import app
from relabel.spec import Spec, make_spec
from relabel.spec.load import split_override
from tests.docs.pages import PAGES, ROOT, all_blocks, below, blocks

REST = {
    "source": {"path": "data/*.parquet", "format": "parquet"},
    "prompt": {"user": "Describe {{ alt_text }}"},
    "model": {"path": "models/small"},
    "output": {"path": "out"},
}
"""The sections that a fragment leaves out. A fragment is a block of YAML with some sections of a spec."""
COMMANDS = [
    (place, line)
    for place, block in all_blocks("")
    for line in block.splitlines()
    if line.startswith(("relabel ", "pip install")) and "relabel " in line
]


def specs():
    return all_blocks("yaml")


def without_shell(line):
    """The arguments of `relabel` in a line: without a comment, and without what a shell does before or after it."""
    words = shlex.split(line, comments=True)
    words = words[words.index("relabel") + 1 :]
    ends = [at for at, word in enumerate(words) if word in (">", "|", "&&", ";")]
    return words[: min(ends, default=len(words))]


@pytest.mark.parametrize(("place", "block"), specs(), ids=[place for place, _ in specs()])
def test_a_spec_on_a_page_loads(place, block, tmp_path, monkeypatch):
    for page in PAGES:
        for module in blocks(page, "python"):
            if name := re.match(r"# (\w+\.py)\n", module):
                (tmp_path / name[1]).write_text(module)
    monkeypatch.chdir(tmp_path)
    fields = yaml.safe_load(block)
    assert fields.keys() <= Spec.model_fields.keys(), "a block of YAML holds sections of a spec"
    make_spec({**REST, **fields}, where=place)


@pytest.mark.parametrize(("place", "line"), COMMANDS, ids=[f"{place}: {line}" for place, line in COMMANDS])
def test_a_command_on_a_page_exists_with_its_options(place, line):
    group = typer.main.get_command(app)
    command, *arguments = without_shell(line)
    assert command in group.commands, f"{place} names a command that is not there"
    context = group.commands[command].make_context(command, arguments)  # UsageError for an option that is not there
    for override in context.params.get("set_") or ():
        split_override(override)


@pytest.mark.parametrize(("place", "block"), all_blocks("python"), ids=[place for place, _ in all_blocks("python")])
def test_what_a_page_imports_of_relabel_is_there(place, block):
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "relabel":
            for alias in node.names:
                assert hasattr(importlib.import_module(node.module), alias.name), f"{place}: {alias.name}"


def test_the_scripted_engine_answers_as_its_page_says():
    [block] = [block for _, block in all_blocks("python") if "ScriptedEngine" in block]
    exec(compile(block, "engines.md", "exec"), {})


def test_commands_and_specs_are_found():
    assert len(specs()) > 15
    assert len(COMMANDS) > 25


@pytest.mark.parametrize("path", [*PAGES, ROOT / "CHANGELOG.md"], ids=below)
def test_a_link_leads_to_a_file(path):
    text = re.sub(r"^```.*?^```$|`[^`\n]*`", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith(("https://", "http://", "mailto:")):
            file = target.partition("#")[0]
            assert not file or (path.parent / file).resolve().exists(), target


def test_every_page_is_reached_from_the_index():
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\(([^)]+\.md)\)", index))
    assert {path.relative_to(ROOT / "docs").as_posix() for path in PAGES if path.is_relative_to(ROOT / "docs")} == (
        linked | {"README.md"}
    )


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 160


@pytest.mark.parametrize("path", PAGES, ids=below)
def test_a_page_is_plain_markdown_with_one_title(path):
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert len(re.findall(r"^# ", text, flags=re.MULTILINE)) == 1
    assert not re.search(r"^(:::|!!!|\?\?\?|\{%)", text, flags=re.MULTILINE), "no plugin is needed to read it"
