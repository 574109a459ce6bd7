"""Whole chats in place of a prompt, and what goes without saying where the source is batch files of OpenAI's API."""

import pytest

from relabel.errors import SpecError
from relabel.spec import Model, Output, Source, Spec, make_spec

BATCH = {"source": {"path": "x", "format": "openai"}, "model": {"path": "m"}, "output": {"path": "o"}}


def spec_with(format="parquet", **sections):
    return make_spec({**BATCH, "source": {"path": "x", "format": format}, **sections})


def test_a_batch_file_needs_no_prompt_and_keeps_its_ids():
    spec = make_spec(BATCH)
    assert spec.prompt.messages == "messages"
    assert spec.output.keep == ["custom_id"]
    assert make_spec(spec.model_dump()) == spec


def test_so_does_a_spec_made_of_objects():
    spec = Spec(source=Source(path="x", format="openai"), model=Model(path="m"), output=Output(path="o"))
    assert spec == make_spec(BATCH)


def test_what_is_said_stays():
    spec = make_spec({**BATCH, "output": {"path": "o", "keep": ["settings", "custom_id"]}, "prompt": {"user": "x"}})
    assert spec.output.keep == ["settings", "custom_id"]
    assert spec.prompt.messages is None
    options = make_spec({**BATCH, "prompt": {"chat_template_kwargs": {"enable_thinking": False}}}).prompt
    assert options.messages == "messages"
    assert options.chat_template_kwargs == {"enable_thinking": False}


def test_other_sources_keep_nothing_by_themselves():
    spec = spec_with(prompt={"messages": "chat"})
    assert spec.output.keep == []
    with pytest.raises(SpecError, match=r"prompt\.user is missing"):
        spec_with()


def test_a_batch_spec_without_an_output_says_so():
    with pytest.raises(SpecError, match="output is missing"):
        make_spec({key: BATCH[key] for key in ("source", "model")})


@pytest.mark.parametrize("wrong", [{"user": "x"}, {"system": "x"}, {"chat": "never"}])
def test_messages_are_the_whole_prompt(wrong):
    with pytest.raises(SpecError, match="leave out"):
        spec_with(prompt={"messages": "chat", **wrong})


def test_none_of_several_labels_has_a_prompt_of_its_own_beside_messages():
    labels = [{"name": "a"}, {"name": "b", "user": "x"}]
    with pytest.raises(SpecError, match=r"labels b: prompt\.messages holds the whole chat"):
        spec_with(prompt={"messages": "chat"}, labels=labels)


@pytest.mark.parametrize("section", ["source", "prompt", "output"])
@pytest.mark.parametrize("value", [None, 5, "x", []])
def test_a_section_that_is_none_is_named(section, value):
    with pytest.raises(SpecError, match=f"spec: {section}"):
        make_spec({**BATCH, section: value})
