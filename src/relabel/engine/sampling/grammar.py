"""Where each constrained row stands in its grammar, and which tokens may come next: the masks of constrained decoding.

Knows tokens and grammars; nothing of logits or of how a token is chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from relabel.engine.api.constraint import Constraint
from relabel.engine.sampling.stops import added_tokens
from relabel.errors import ModelRefused

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

NUM_KEPT = 64
"""Grammars that are kept compiled."""
WORD = 32
"""Tokens in one number of a mask."""


class Matcher:
    """One row in its grammar."""

    def __init__(self, renew: Callable[[bool], LLMatcher], stop_tokens: Sequence[int]) -> None:
        self._renew, self._stops = renew, stop_tokens
        self._grammar = renew(False)
        self._tokens: list[int] = []
        self._has_ended = False

    def consume(self, token: int) -> None:
        """The row's next token."""
        if self._has_ended:
            return  # a padded batch goes on with rows that have ended, and nobody looks
        if token in self._stops:
            self._has_ended = True
            return
        self._tokens.append(token)
        self._grammar.consume_token(token)

    def fill(self, masks_LW: np.ndarray, draft: Sequence[int] = ()) -> None:
        """Set the bits of the tokens that may come next, and of those that may come behind each token of a draft.

        The draft is one that fits. A row whose grammar gives up may only end.
        """
        if self._has_ended:
            masks_LW[:] = -1
            return
        self._walk(masks_LW, draft)
        if self._grammar.is_error():
            # copies of a grammar share a lexer whose states only grow: one expression had all 250,000 after 606 rows
            self._grammar = self._renew(True)
            self._grammar.consume_tokens(self._tokens)
            self._walk(masks_LW, draft)

    def forced(self) -> list[int]:
        """The tokens of the text that must come next, as the tokenizer writes it; the model may choose others."""
        return [] if self._has_ended or self._grammar.is_stopped() else self._grammar.compute_ff_tokens()

    def num_fitting(self, draft: Sequence[int]) -> int:
        """How many tokens of a draft may come next, one after the other."""
        return 0 if self._has_ended or self._grammar.is_stopped() else self._grammar.validate_tokens(list(draft))

    def _walk(self, masks_LW: np.ndarray, draft: Sequence[int]) -> None:
        self._compute(masks_LW[0])
        for token, mask_W in zip(draft, masks_LW[1:], strict=True):
            self._grammar.consume_token(token)
            self._compute(mask_W)
        if draft:
            self._grammar.rollback(len(draft))

    def _compute(self, mask_W: np.ndarray) -> None:
        if self._grammar.is_stopped():
            mask_W[:] = 0
            for token in self._stops:
                mask_W.view(np.uint32)[token // WORD] |= np.uint32(1 << token % WORD)
        else:
            self._grammar.unsafe_compute_mask_ptr(mask_W.ctypes.data, mask_W.nbytes)


class Grammars:
    """Makes matchers for one tokenizer; what is common to rows of the same constraint is compiled once."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase | None, vocab_size: int) -> None:
        self._tokenizer, self._vocab_size = tokenizer, vocab_size
        self._vocabularies: dict[tuple[int, ...], LLTokenizer] = {}
        self._compiled: dict[tuple[Constraint, tuple[int, ...]], LLMatcher] = {}

    def require(self, constraint: Constraint, stop_tokens: Sequence[int]) -> None:
        """Compile ahead. Raises ModelRefused where the tokenizer or the grammar cannot be used."""
        self._compile(constraint, self._known(stop_tokens))

    def matcher(self, constraint: Constraint, stop_tokens: Sequence[int]) -> Matcher:
        """For a row that begins and may end with any of the stop tokens."""
        stops = self._known(stop_tokens)
        mine: LLMatcher | None = None

        def renew(is_worn: bool) -> LLMatcher:
            nonlocal mine
            if is_worn and self._compiled.get((constraint, stops)) is mine:  # else another row has done so
                del self._compiled[constraint, stops]
            mine = self._compile(constraint, stops)
            return mine.deep_copy()

        return Matcher(renew, stops)

    def masks(self, rows: Sequence[tuple[Matcher, Sequence[int]]]) -> np.ndarray:
        """[positions, words] of int32, a bit for each token of the vocabulary that may come next.

        Of each row, behind its text and behind each token of its draft.
        """
        num_positions = sum(1 + len(draft) for _, draft in rows)
        masks_PW, at = np.zeros((num_positions, -(-self._vocab_size // WORD)), dtype=np.int32), 0
        for matcher, draft in rows:
            matcher.fill(masks_PW[at : at + 1 + len(draft)], draft)
            at += 1 + len(draft)
        return masks_PW

    def _compile(self, constraint: Constraint, stops: tuple[int, ...]) -> LLMatcher:
        """Of a constraint that has not been used for long it is made anew: rows may all bring their own."""
        found = self._compiled.pop((constraint, stops), None) or self._new(constraint, stops)
        self._compiled[constraint, stops] = found
        if len(self._compiled) > NUM_KEPT:
            del self._compiled[next(iter(self._compiled))]
        return found

    def _new(self, constraint: Constraint, stops: tuple[int, ...]) -> LLMatcher:
        vocabulary = self._vocabulary(stops)
        from llguidance import LLMatcher

        text = LLMatcher.grammar_from_lark(constraint.grammar(added_tokens(self._tokenizer)))
        grammar = LLMatcher(vocabulary, text, log_level=0)
        if grammar.is_error():
            raise ModelRefused(f"a constraint cannot be used with this model: {grammar.get_error()[:300]}")
        return grammar

    def _known(self, stop_tokens: Sequence[int]) -> tuple[int, ...]:
        return tuple(token for token in stop_tokens if token < self._vocab_size)

    def _vocabulary(self, stops: tuple[int, ...]) -> LLTokenizer:
        if stops not in self._vocabularies:
            try:
                from llguidance.hf import from_tokenizer
            except ImportError as error:
                raise ModelRefused("constrained decoding needs llguidance: pip install llguidance") from error
            if self._tokenizer is None or not stops:
                raise ModelRefused("constrained decoding needs the model's tokenizer and a token that ends a text")
            tokenizer = cast("PreTrainedTokenizerFast", self._tokenizer)  # any other is a ValueError
            try:
                self._vocabularies[stops] = from_tokenizer(tokenizer, self._vocab_size, list(stops))
            except ValueError as error:
                raise ModelRefused(f"constrained decoding cannot use this tokenizer: {error}") from error
        return self._vocabularies[stops]


def allowed(masks_RW: torch.Tensor, vocab_size: int) -> torch.Tensor:
    """[R, vocabulary] of bool: the bits of packed masks, on their device."""
    shifts = torch.arange(WORD, dtype=torch.int32, device=masks_RW.device)
    return (masks_RW[:, :, None] >> shifts).bitwise_and_(1).bool().flatten(1)[:, :vocab_size]
