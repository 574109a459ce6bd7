"""Where spec keys become arguments of the engine: what the engine refuses is told in the words of the spec."""

import pickle

import pytest

from relabel.engine import Constraint, model_identity
from relabel.engine.api.constraint import check_constraint
from relabel.engine.scripted import ScriptedEngine
from relabel.errors import ArgumentRefused, ModelRefused, SpecError
from relabel.job.engine import SPEC_NAMES, choice_ids, in_words_of_the_spec
from relabel.spec import Label, Model
from tests.tiny import make_tokenizer, save_model


def test_the_engine_names_its_own_argument_and_the_job_the_key_of_the_spec(tmp_path):
    with pytest.raises(ArgumentRefused, match=r"^revision belongs to a model of the hub"):
        model_identity(str(tmp_path), "0" * 40)
    with pytest.raises(ModelRefused, match=r"^model\.revision belongs to a model of the hub"), in_words_of_the_spec():
        model_identity(str(tmp_path), "0" * 40)


def test_a_constraint_that_cannot_be_held_is_an_error_of_the_spec():
    endless = Constraint(kind="json", value='{"type": "integer", "multipleOf": 1000003}')
    with pytest.raises(ArgumentRefused, match=r"set constraint=None to check"):
        check_constraint(endless)
    with pytest.raises(SpecError, match=r"set label\.constrain: false to check"), in_words_of_the_spec():
        check_constraint(endless)


@pytest.mark.parametrize("argument", SPEC_NAMES)
def test_every_argument_that_is_refused_has_a_key(argument):
    with pytest.raises((ModelRefused, SpecError)) as told, in_words_of_the_spec():
        raise ArgumentRefused("set ", argument, " to something else")
    assert str(told.value) == f"set {SPEC_NAMES[argument]} to something else"


def test_other_refusals_pass_unchanged():
    with pytest.raises(ModelRefused, match=r"^as it is$"), in_words_of_the_spec():
        raise ModelRefused("as it is")


def test_a_refusal_comes_back_whole_from_another_process():
    refused = pickle.loads(pickle.dumps(ArgumentRefused("set ", "path", "")))
    assert (str(refused), refused.argument) == ("set path", "path")


def test_choices_have_the_tokens_of_the_model_that_the_engine_was_made_from(tmp_path):
    """A model folder was replaced in a process that lived on: choices were scored by the tokens of the one before."""

    def engine_there():
        engine = ScriptedEngine(lambda request: "circle")
        engine.end_token = 2
        return engine

    label, model = Label(parse="choice", choices=["circle", "a"], logprobs=True), Model(path=str(tmp_path))
    save_model(tmp_path)
    first = engine_there()
    before = choice_ids(label, model, first)
    tokenizer = make_tokenizer()
    tokenizer.add_tokens(["circle"])
    tokenizer.save_pretrained(tmp_path)
    assert choice_ids(label, model, first) == before
    assert choice_ids(label, model, engine_there())[0] == [tokenizer.convert_tokens_to_ids("circle"), 2] != before[0]
