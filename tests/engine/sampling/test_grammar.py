"""Grammars of single texts: marks that are tokens, and copies that are worn out."""

from __future__ import annotations

import torch

from relabel.engine import Thoughts
from relabel.engine.api.constraint import Constraint
from relabel.engine.sampling.grammar import Grammars, Matcher, allowed
from tests.engine import models
from tests.engine.bound import REGEX


def test_a_mark_that_the_tokenizer_has_a_token_for_ends_the_thoughts_too():
    """Of an added token in angle brackets no text is a part: the mark has to be allowed as what it is."""
    tokenizer = models.tokenizer(("</think>",))
    grammars = Grammars(tokenizer, models.VOCAB_SIZE)
    bound = Constraint(kind="choice", value='["red"]', thoughts=Thoughts(closings=("</think>",), is_open=True))
    for spelled in ([tokenizer.convert_tokens_to_ids("</think>")], [ord(letter) - 30 for letter in "</think>"]):
        matcher = grammars.matcher(bound, [models.EOS])
        for token in [*(ord(letter) - 30 for letter in "hm"), *spelled]:
            matcher.consume(token)
        (mask_W,) = grammars.masks([(matcher, [])])
        may = allowed(torch.from_numpy(mask_W)[None], models.VOCAB_SIZE)[0].nonzero()[:, 0].tolist()
        assert "r" in tokenizer.decode(may)
        assert "x" not in tokenizer.decode(may)


class Worn:
    """A grammar that gives up in the middle of a text, as copies of one do whose lexer has all its 250,000 states."""

    def __init__(self, grammar):
        self._grammar, self._num_masks = grammar, 0

    def __getattr__(self, name):
        return getattr(self._grammar, name)

    def unsafe_compute_mask_ptr(self, *place):
        self._num_masks += 1
        self._grammar.unsafe_compute_mask_ptr(*place)

    def is_error(self):
        return self._num_masks > 4


def test_a_grammar_that_many_rows_have_worn_out_is_made_anew_in_the_middle_of_a_text():
    grammars = Grammars(models.tokenizer(), models.VOCAB_SIZE)
    fresh = grammars.matcher(REGEX, [models.EOS])
    renewed = []

    def renew(is_worn):
        renewed.append(is_worn)
        grammar = fresh._grammar.deep_copy()
        return grammar if is_worn else Worn(grammar)

    matcher, sound = Matcher(renew, (models.EOS,)), grammars.matcher(REGEX, [models.EOS])
    for letter in "ABCDE-123":
        masks_RW = grammars.masks([(matcher, []), (sound, [])])
        assert (masks_RW[0] == masks_RW[1]).all()
        for one in (matcher, sound):
            one.consume(ord(letter) - 30)
    assert renewed == [False, True]
