"""Where spec keys become arguments of the engine: what the engine refuses is told in the words of the spec."""

import pickle

import pytest

from relabel.engine import Constraint, model_identity
from relabel.engine.api.constraint import check_constraint
from relabel.errors import ArgumentRefused, ModelRefused, SpecError
from relabel.job.engine import SPEC_NAMES, in_words_of_the_spec


def test_the_engine_names_its_own_argument_and_the_job_the_key_of_the_spec(tmp_path):
    with pytest.raises(ArgumentRefused, match=r"^revision belongs to a model of the hub"):
        model_identity(str(tmp_path), "0" * 40)
    with pytest.raises(ModelRefused, match=r"^model\.revision belongs to a model of the hub"), in_words_of_the_spec():
        model_identity(str(tmp_path), "0" * 40)


def test_a_constraint_that_cannot_be_held_is_an_error_of_the_spec():
    endless = Constraint(kind="json", value='{"type": "integer", "multipleOf": 1000003}')
    with pytest.raises(ArgumentRefused, match=r"set constraint=None$"):
        check_constraint(endless)
    with pytest.raises(SpecError, match=r"set label\.constrain: false$"), in_words_of_the_spec():
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
