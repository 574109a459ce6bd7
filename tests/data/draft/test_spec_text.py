"""Whatever columns there are, what is drafted of them is a spec that asks about them."""

import yaml
from hypothesis import given
from hypothesis import strategies as st

from relabel.data.draft.columns import Column, Holds
from relabel.data.draft.form import Data, find_data
from relabel.data.draft.spec_text import spec_text, template_name
from relabel.data.prompts.template import PromptTemplate
from relabel.spec import Prompt, make_spec
from tests.data.builders import write_json

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
COLUMNS = st.lists(
    st.builds(
        Column,
        name=NAMES
        | st.sampled_from(["row", "loop", "self", "range", "none", "caption", "answer", "text", "status", "id"]),
        kind=st.sampled_from(["string", "struct<bytes: binary, path: string>", "struct<a\nb: string>"]),
        holds=st.sampled_from(Holds),
        num_characters=st.integers(0, 10**6),
        question=st.sampled_from(["", "[0].content"]),
    ),
    max_size=6,
    unique_by=lambda column: column.name,
)


@given(name=NAMES | st.sampled_from(["loop", "self", "super", "range", "dict", "none", "not", "caller", "class"]))
def test_a_template_reads_the_column_that_it_names(name):
    template = PromptTemplate(Prompt(user=f"{{{{ {template_name(name)} }}}}"))
    assert template.columns() == {name}
    assert str(template.render({name: "its value"}).user) == "its value"


def found_in(folder) -> Data:
    write_json(folder / "rows.jsonl", [{"text": "x"}])
    return find_data([str(folder / "rows.jsonl")])


@given(columns=COLUMNS, model=st.none() | NAMES, output=NAMES)
def test_what_is_drafted_loads(tmp_path_factory, columns, model, output):
    data = found_in(tmp_path_factory.getbasetemp())
    text = spec_text(data, columns, model=model, output=output, has_gpu=False)
    spec = make_spec(yaml.safe_load(text))
    assert spec.output.path == output
    asked = PromptTemplate(spec.prompt).columns() if spec.prompt.user else {spec.prompt.messages}
    assert asked <= {column.name for column in columns}
    assert {*spec.prompt.images, *spec.output.keep} <= {column.name for column in columns}
