"""What may stand before a constrained answer, in the marks of every family, token by token."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from relabel.data.labels.reasoning import Start, split_reasoning
from relabel.data.labels.reasoning_formats import FORMATS
from relabel.engine import Constraint, Result, Sampling
from relabel.engine.sampling.detokenizer import Detokenizer
from relabel.engine.sampling.grammar import Grammars, allowed
from relabel.job.engine import thoughts_of
from relabel.spec import Label
from tests.speaking import VOCAB_SIZE, speaking_tokenizer

TOKENS = {
    "harmony": ("<|start|>", "<|end|>", "<|channel|>", "<|message|>", "<|constrain|>"),
    "gemma4": ("<|channel>", "<channel|>"),
    "granite": (),
    "granite33": ("<think>", "</think>"),
    "hunyuan": (),
}
"""Special tokens of a family; of all others each mark is one."""
LABEL = Label(parse="choice", choices=["red", "blue"], reasoning=True)


def tokenizer_of(name, *, has_tokens):
    special = TOKENS.get(name, FORMATS[name].marks) if has_tokens else ()
    unprintable = [mark for mark in FORMATS[name].marks if not mark.isascii() and mark not in special]
    return speaking_tokenizer(unprintable, special=special)


def ids_of(tokenizer, text):
    if "◁" in text:  # of words that have no merges the tokenizer itself finds none
        first, mark, rest = text.partition("◁think▷" if "◁think▷" in text else "◁/think▷")
        return [*ids_of(tokenizer, first), tokenizer.convert_tokens_to_ids(mark), *ids_of(tokenizer, rest)]
    return tokenizer(text, add_special_tokens=False)["input_ids"]


class Writer:
    """Writes tokens as far as a constraint lets it."""

    def __init__(self, tokenizer, start, name, label=LABEL):
        self._tokenizer, self._stop = tokenizer, tokenizer.eos_token_id
        self._grammars = Grammars(tokenizer, VOCAB_SIZE)
        thoughts = thoughts_of(label, FORMATS[name], start)
        constraint = Constraint(kind="choice", value='["red", "blue"]', thoughts=thoughts)
        self._matcher = self._grammars.matcher(constraint, [self._stop])

    def may(self):
        (mask_W,) = self._grammars.masks([(self._matcher, [])])
        return set(allowed(torch.from_numpy(mask_W)[None], VOCAB_SIZE)[0].nonzero()[:, 0].tolist())

    def writes(self, text):
        """Whether every token of the text may come."""
        for token in ids_of(self._tokenizer, text):
            if token not in self.may():
                return False
            self._matcher.consume(token)
        return True

    def must_end(self):
        return self.may() == {self._stop}


@pytest.mark.parametrize("has_tokens", [True, False])
@pytest.mark.parametrize("name", [name for name in FORMATS if name != "kimi_vl"])
@pytest.mark.parametrize("start", [Start.BEFORE, Start.THINKING])
def test_a_thought_is_free_and_the_answer_behind_it_is_not(name, start, has_tokens):
    format, tokenizer = FORMATS[name], tokenizer_of(name, has_tokens=has_tokens)
    thought = f"{format.openings[0] if start is Start.BEFORE else ''}green? no: red{format.between}"
    for closing in format.closings:
        writer = Writer(tokenizer, start, name)
        assert writer.writes(f"{thought}{closing}{format.answer[0]}re")
        assert not writer.writes("x")
        assert writer.writes("d")
        assert writer.must_end()
    assert not Writer(tokenizer, start, name).writes(f"{thought}{format.closings[0]}green")


@pytest.mark.parametrize("name", FORMATS)
def test_a_model_may_answer_at_once_and_without_the_key_it_must(name):
    format, tokenizer = FORMATS[name], tokenizer_of(name, has_tokens=True)
    head = format.closings[0] if format.is_of_channels else ""
    assert Writer(tokenizer, Start.BEFORE, name).writes(f"{head}red")
    assert Writer(tokenizer, Start.ANSWERING, name).writes("red")
    at_once = LABEL.model_copy(update={"reasoning": False})
    assert Writer(tokenizer, Start.BEFORE, name, at_once).writes(f"{head}red")
    assert not Writer(tokenizer, Start.BEFORE, name, at_once).writes(f"{format.openings[0]}hm")
    assert not Writer(tokenizer, Start.ANSWERING, name).writes(f"{format.openings[0]}hm")


def test_several_channels_may_come_before_the_answer():
    tokenizer = tokenizer_of("harmony", has_tokens=True)
    said = (
        "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>commentary<|message|>oh<|end|>"
        "<|start|>assistant<|channel|>final<|message|>"
    )
    assert Writer(tokenizer, Start.BEFORE, "harmony").writes(f"{said}red")
    assert not Writer(tokenizer, Start.BEFORE, "harmony").writes("<|channel|>other")


@settings(max_examples=40)
@given(st.sampled_from(sorted(FORMATS)), st.text(st.sampled_from("red <|>/\n"), max_size=12), st.booleans())
def test_what_is_written_is_read_again_where_its_marks_are_tokens_that_are_no_text(name, thought, is_open):
    """From thought and answer to tokens, to the text that an engine gives, and back."""
    format, tokenizer = FORMATS[name], tokenizer_of(name, has_tokens=True)
    opening = "" if is_open else format.openings[0]
    ids = ids_of(tokenizer, f"{opening}{thought}{format.between}")
    ids += ids_of(tokenizer, f"{format.closings[0]}{format.answer[0]}a{format.answer[1]}")
    (result,) = Detokenizer(tokenizer).with_texts([Result(id=0, token_ids=ids)], [Sampling(marks=format.marks)])
    start = Start.THINKING if is_open else Start.BEFORE
    reasoning, answer = split_reasoning(result.text, format, start=start)
    assert (reasoning.replace("\n", ""), answer) == (thought.strip().replace("\n", ""), "a")


def test_special_tokens_that_are_no_marks_are_no_text():
    tokenizer = speaking_tokenizer((), special=("<think>", "</think>", "<|other|>"))
    ids = tokenizer("<think>a</think>b<|other|>c", add_special_tokens=False)["input_ids"]
    marked, bare = Detokenizer(tokenizer).with_texts(
        [Result(id=0, token_ids=ids)] * 2, [Sampling(marks=("<think>", "</think>")), Sampling()]
    )
    assert (marked.text, bare.text) == ("<think>a</think>bc", "abc")
