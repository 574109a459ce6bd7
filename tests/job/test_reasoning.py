"""Models that think first, of every family: what they thought stands apart, and a constraint waits for the answer."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from functools import partial

import pytest

import relabel
from relabel import make_spec
from relabel.job.local import InProcess
from tests.reading import rows_of
from tests.speaking import END, save_speaker, speaking_tokenizer

run = partial(relabel.run, execute=InProcess())
CHAT = "{% for m in messages %}{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}"
HARMONY = ("<|start|>", "<|end|>", "<|channel|>", "<|message|>", "<|constrain|>", "<|return|>", "<|call|>")
WORDS = ("hm", "cat", "dog", "analysis", "final", "thought\n", "Here is my thought process:", "Here is my response:")


@dataclass(frozen=True, kw_only=True)
class Family:
    """A model that thinks `hm`, and would answer `cat`."""

    said: tuple[str, ...]
    """The tokens that it says."""
    special: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    reply: str = "A:"
    """What its template writes behind the messages."""
    end: str = END
    template: str = ""
    """Words that the template has beside."""


FAMILIES = {
    "think opened by the template": Family(
        said=("hm", "</think>", "cat"), added=("<think>", "</think>"), reply="A:<think>\n"
    ),
    "think by itself": Family(said=("<think>", "hm", "</think>", "\n", "cat"), added=("<think>", "</think>")),
    "think as special tokens": Family(said=("<think>", "hm", "</think>", "cat"), special=("<think>", "</think>")),
    "think as text": Family(
        said=("<think>", "hm", "</think>", "cat"), words=("<think>", "</think>"), template="{# </think> #}"
    ),
    "harmony": Family(
        said=(
            *("<|channel|>", "analysis", "<|message|>", "hm", "<|end|>", "<|start|>", "assistant"),
            *("<|channel|>", "final", "<|message|>", "cat"),
        ),
        special=HARMONY,
        words=("assistant",),
        reply="<|start|>A:",
        end="<|return|>",
    ),
    "solar": Family(
        said=("<|think|>", "hm", "<|end|>", "<|begin|>", "assistant", "<|content|>", "cat"),
        special=("<|begin|>", "<|end|>", "<|think|>", "<|content|>", "<|flush|>"),
        added=("assistant",),  # as words alone it would be spelled by letters under a constraint
        reply="<|begin|>A:",
        end="<|flush|>",
    ),
    "glm_v": Family(
        said=("<think>", "hm", "</think>", "\n", "<|begin_of_box|>", "cat", "<|end_of_box|>"),
        added=("<think>", "</think>", "<|begin_of_box|>", "<|end_of_box|>"),
    ),
    "mistral": Family(said=("[THINK]", "hm", "[/THINK]", "cat"), special=("[THINK]", "[/THINK]")),
    "gemma4": Family(said=("<|channel>", "thought\n", "hm", "<channel|>", "cat"), special=("<|channel>", "<channel|>")),
    "cohere": Family(
        said=("hm", "<|END_THINKING|>", "<|START_RESPONSE|>", "cat", "<|END_RESPONSE|>"),
        special=("<|START_THINKING|>", "<|END_THINKING|>", "<|START_RESPONSE|>", "<|END_RESPONSE|>"),
        reply="A:<|START_THINKING|>",
    ),
    "seed_oss": Family(said=("<seed:think>", "hm", "</seed:think>", "cat"), special=("<seed:think>", "</seed:think>")),
    "kimi_vl": Family(said=("◁think▷", "hm", "◁/think▷", "cat"), added=("◁think▷", "◁/think▷")),
    "apertus": Family(
        said=("<|inner_prefix|>", "hm", "<|inner_suffix|>", "cat"), special=("<|inner_prefix|>", "<|inner_suffix|>")
    ),
    "granite": Family(
        said=("Here is my thought process:", "hm", "Here is my response:", "cat"),
        template="{# Here is my response: #}",
    ),
    "hunyuan": Family(
        said=("<think>", "hm", "</think>", "\n", "<answer>", "cat", "</answer>"),
        words=("<think>", "</think>", "<answer>", "</answer>"),
        template="{# </think> </answer> #}",
    ),
}


@pytest.fixture
def job(tmp_path):
    """Runs a family over two rows and returns the rows of the output."""
    (tmp_path / "rows.jsonl").write_text('{"alt": "x"}\n{"alt": "y"}\n', encoding="utf-8")

    def label(family: Family, *, batching="auto", max_new_tokens=32, chat=None, **label):
        tokenizer = speaking_tokenizer(
            (*WORDS, *family.words),
            special=family.special,
            added=family.added,
            end=family.end,
            template=f"{CHAT}{family.reply}{{% endif %}}{family.template}",
        )
        save_speaker(tmp_path / "model", tokenizer, family.said, family.reply)
        fields = {
            "source": {"path": str(tmp_path / "rows.jsonl"), "format": "jsonl"},
            "prompt": chat or {"user": "{{ alt }}"},
            "model": {"path": str(tmp_path / "model"), "dtype": "float32"},
            "sampling": {"max_new_tokens": max_new_tokens},
            "label": label,
            "output": {"path": str(tmp_path / "out")},
            "resources": {"gpus_per_actor": 0, "batching": batching},
        }
        run(make_spec(fields))
        return rows_of(tmp_path / "out")

    return label


BOTH_ENGINES = [
    *((family, "continuous") for family in FAMILIES),
    *((family, "static") for family in ("think opened by the template", "harmony", "kimi_vl")),
]


@pytest.mark.parametrize(("family", "batching"), BOTH_ENGINES)
def test_what_a_model_thinks_is_not_its_label(job, family, batching):
    for row in job(FAMILIES[family], batching=batching):
        assert (row["label"], row["reasoning"], row["text"].strip()) == ("cat", "hm", "cat")
        assert (row["status"], row["finish_reason"]) == ("ok", "stop")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_text_that_is_cut_off_before_its_answer_is_a_reject(job, family):
    said = FAMILIES[family].said
    for row in job(FAMILIES[family], max_new_tokens=said.index("hm") + 1):
        assert (row["status"], row["reason"]) == ("rejected", "parse: ended before its answer")
        assert (row["label"], row["text"], row["reasoning"], row["finish_reason"]) == (None, "", "hm", "length")


@pytest.mark.parametrize(("family", "batching"), BOTH_ENGINES)
def test_a_constraint_begins_where_the_answer_does(job, family, batching):
    """The model says `cat`, which is none of the choices, and thinks `hm`, which is none either."""
    label = {"parse": "choice", "choices": ["dog", "do"], "reasoning": True}
    for row in job(FAMILIES[family], batching=batching, **label):
        assert (row["label"] in ("dog", "do"), row["reasoning"], row["status"]) == (True, "hm", "ok")


@pytest.mark.parametrize("family", FAMILIES)
def test_without_the_key_a_constrained_model_does_not_begin_to_think(job, family):
    """It goes on with what its template has begun, and in channels it names the one of the answer."""
    is_opened = FAMILIES[family].reply.endswith(("<think>\n", "<|START_THINKING|>"))
    for row in job(FAMILIES[family], parse="choice", choices=["dog", "cat"]):
        assert (row["status"], row["reasoning"]) == ("ok", "hm" if is_opened else None)


@pytest.mark.parametrize("family", ["think opened by the template", "think by itself", "harmony"])
def test_choices_are_scored_behind_what_was_thought(job, family):
    said = tuple("c" if token == "cat" else token for token in FAMILIES[family].said)
    label = {"parse": "choice", "choices": ["c", "d"], "reasoning": True, "logprobs": True}
    for row in job(replace(FAMILIES[family], said=said), **label):
        assert row["label"] == "c"
        assert row["probabilities"]["c"] == pytest.approx(1), "the model says it behind its thoughts alone"


def test_none_leaves_texts_as_they_are(job):
    for row in job(FAMILIES["think by itself"], reasoning="none"):
        assert (row["label"], row["reasoning"]) == ("<think>hm</think>\ncat", None)


def test_a_name_sets_the_format(job):
    family = Family(said=("<reasoning>", "hm", "</reasoning>", "cat"), words=("<reasoning>", "</reasoning>"))
    assert {row["label"] for row in job(family, reasoning="reasoning")} == {"cat"}


def test_a_prompt_without_a_chat_template_may_end_in_a_thought_too(job):
    family = Family(said=("hm",), added=("<think>", "</think>"), reply="A:<think>\n")
    for row in job(family, chat={"user": "{{ alt }} A:<think>\n", "chat": "never"}):
        assert (row["reasoning"], row["reason"]) == ("hm", "parse: ended before its answer")


def test_a_row_that_spells_marks_begins_no_thought(job, tmp_path):
    row = {"alt": "<think></think><think>\n"}
    family = FAMILIES["think by itself"]
    spoken = Family(said=("cat",), added=family.added)
    rows = job(spoken, chat={"user": json.dumps(row["alt"])[1:-1].replace("\\n", "\n") + "{{ alt }}"})
    assert {(row["label"], row["reasoning"]) for row in rows} == {("cat", None)}


def test_marks_that_no_format_knows_are_named_in_the_log(job, caplog):
    with caplog.at_level(logging.WARNING, "relabel"):
        job(Family(said=("cat",), special=("<|muse|>", "<|deep_think|>")))
    (told,) = {record.getMessage() for record in caplog.records if "marks of reasoning" in record.getMessage()}
    assert "<|deep_think|>" in told
    assert "muse" not in told
