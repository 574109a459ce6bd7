"""How families of models mark what they think: a table, and which line of it a model is of.

Marks are text here, whether a tokenizer has tokens of their own for them or not. Knows nothing of tokens, prompts or
labels. Most lines are what vLLM's reasoning parsers know, https://docs.vllm.ai/en/latest/features/reasoning_outputs.html;
harmony is https://github.com/openai/harmony.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningFormat:
    """The marks of one way to think before answering."""

    openings: tuple[str, ...]
    """Marks that a thought begins with, longer ones before those that they begin with."""
    closings: tuple[str, ...]
    """Marks behind which the answer begins."""
    closing_pattern: str = ""
    """An expression for all closings that a model may write; empty for those above alone."""
    between: str = ""
    """What ends each of several thoughts, before an opening or a closing; empty where a closing ends the only one."""
    turn: str = ""
    """The end of `between`: what begins a message, also the first where the template leaves that to the model."""
    header_pattern: str = ""
    """An expression for all that may stand before a thought of a channel; empty for `between` and the openings."""
    answer: tuple[str, str] = ("", "")
    """Marks around the answer; empty for none. What stands behind the second is not part of it."""
    signs: tuple[str, ...] = ()
    """What a tokenizer or a chat template of such a model holds, all of it; empty for the first closing."""

    @property
    def is_of_channels(self) -> bool:
        """Whether a closing stands before every answer, also where nothing was thought."""
        return bool(self.between)

    @property
    def closing(self) -> re.Pattern[str]:
        """What finds a closing."""
        return re.compile(self.closing_pattern or "|".join(map(re.escape, self.closings)))

    @property
    def header(self) -> re.Pattern[str]:
        """What stands before each thought of a channel, or is left of it where the text is cut off."""
        between, heads = re.escape(self.between), "|".join(map(re.escape, self.openings))
        return re.compile(self.header_pattern or f"{between}(?:{heads})|{between}$|^(?:{heads})")

    @property
    def marks(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(filter(None, (*self.openings, *self.closings, self.between, *self.answer)))

    def is_of(self, tokens: Collection[str], template: str) -> bool:
        """Whether a model with these added tokens and this chat template is of this format."""
        return all(sign in tokens or sign in template for sign in self.signs or self.closings[:1])


THINK = ReasoningFormat(openings=("<think>",), closings=("</think>",))
FORMATS: Mapping[str, ReasoningFormat] = {
    # names of channels follow a token, so that an answer can be told from a thought by its header alone
    "harmony": ReasoningFormat(
        openings=("<|channel|>analysis<|message|>", "<|channel|>commentary<|message|>", "<|channel|>"),
        closings=("<|channel|>final<|message|>", "<|channel|>final <|constrain|>json<|message|>"),
        closing_pattern=r"<\|channel\|>final[^<]{0,64}(?:<\|constrain\|>[^<]{0,64})?<\|message\|>",
        between="<|end|><|start|>assistant",
        turn="<|start|>assistant",
        header_pattern=(  # a message may be for a tool, which is named before the channel or behind it
            r"(?:<\|end\|>)?(?:<\|start\|>assistant[^<]{0,64})?<\|channel\|>[^<]{0,64}(?:<\|constrain\|>[^<]{0,64})?"
            r"(?:<\|message\|>|$)|<\|end\|>(?:<\|start\|>assistant[^<]{0,64})?$"
        ),
        answer=("", "<|end|>"),
        signs=("<|channel|>", "<|message|>"),
    ),
    "solar": ReasoningFormat(
        openings=("<|think|>",),
        closings=("<|content|>",),
        between="<|end|><|begin|>assistant",
        turn="<|begin|>assistant",
        answer=("", "<|end|>"),
        signs=("<|think|>", "<|content|>"),
    ),
    "gemma4": ReasoningFormat(
        openings=("<|channel>thought\n", "<|channel>"), closings=("<channel|>",), signs=("<|channel>", "<channel|>")
    ),
    "cohere": ReasoningFormat(
        openings=("<|START_THINKING|>",),
        closings=("<|END_THINKING|>",),
        answer=("<|START_RESPONSE|>", "<|END_RESPONSE|>"),
    ),
    "apertus": ReasoningFormat(openings=("<|inner_prefix|>",), closings=("<|inner_suffix|>",)),
    "longcat": ReasoningFormat(openings=("<longcat_think>",), closings=("</longcat_think>",)),
    "minimax_m3": ReasoningFormat(openings=("<mm:think>",), closings=("</mm:think>",)),
    "seed_oss": ReasoningFormat(openings=("<seed:think>",), closings=("</seed:think>",)),
    "kimi_vl": ReasoningFormat(openings=("◁think▷",), closings=("◁/think▷",)),
    "openthinker": ReasoningFormat(
        openings=("<|begin_of_thought|>",),
        closings=("<|end_of_thought|>",),
        answer=("<|begin_of_solution|>", "<|end_of_solution|>"),
    ),
    "granite": ReasoningFormat(
        openings=("Here is my thought process:", "Here's my thought process:"),
        closings=("Here is my response:", "Here's my response:"),
    ),
    "apriel": ReasoningFormat(
        openings=("Here are my reasoning steps:",),
        closings=("[BEGIN FINAL RESPONSE]",),
        answer=("", "[END FINAL RESPONSE]"),
    ),
    "granite33": ReasoningFormat(
        openings=THINK.openings,
        closings=THINK.closings,
        answer=("<response>", "</response>"),
        signs=("</think>", "</response>"),
    ),
    "hunyuan": ReasoningFormat(
        openings=THINK.openings,
        closings=THINK.closings,
        answer=("<answer>", "</answer>"),
        signs=("</think>", "</answer>"),
    ),
    "glm_v": ReasoningFormat(
        openings=THINK.openings,
        closings=THINK.closings,
        answer=("<|begin_of_box|>", "<|end_of_box|>"),
        signs=("</think>", "<|end_of_box|>"),
    ),
    "think": THINK,
    # some Mistral tokenizers have these tokens beside a template that asks for <think>
    "mistral": ReasoningFormat(openings=("[THINK]",), closings=("[/THINK]",)),
    "thought": ReasoningFormat(openings=("<thought>",), closings=("</thought>",)),
    "thinking": ReasoningFormat(openings=("<thinking>",), closings=("</thinking>",)),
    "reasoning": ReasoningFormat(openings=("<reasoning>",), closings=("</reasoning>",)),
}
"""By name. Of several that fit a model the first counts."""
_LIKE_A_MARK = re.compile(r"think|thought|reason|scratchpad|reflect|\bcot\b", re.IGNORECASE)


def format_of(reasoning: bool | str, found: str | None) -> ReasoningFormat | None:
    """The format of a label's texts, by its key `reasoning` and the name of what was found for the model."""
    if reasoning == "none":
        return None
    return FORMATS[reasoning] if isinstance(reasoning, str) else FORMATS[found or "think"]


def find_format(tokens: Collection[str], template: str) -> str | None:
    """The name of a model's format, by its added tokens and its chat template; None where none fits."""
    return next((name for name, one in FORMATS.items() if one.is_of(tokens, template)), None)


def unknown_marks(tokens: Collection[str]) -> list[str]:
    """Added tokens that look like marks of reasoning and are in no format."""
    known = "".join(mark for one in FORMATS.values() for mark in one.marks)
    return sorted(token for token in tokens if _LIKE_A_MARK.search(token) and token not in known)
