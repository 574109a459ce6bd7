"""Where a row's text ends: the stop tokens of a checkpoint and its tokenizer, a row's own, and stop strings.

Knows names of special tokens and ids; nothing of requests or batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import torch
from transformers import StopStringCriteria

from relabel.engine.api.request import Sampling
from relabel.engine.model.upload import upload
from relabel.errors import ModelRefused

if TYPE_CHECKING:
    from transformers import GenerationConfig, PreTrainedTokenizerBase, PreTrainedTokenizerFast

NUM_KEPT = 64
"""Sets of stop strings that are kept ready."""
END_OF_TURN = (
    "<|eot_id|>",  # Llama 3, whose EOS list often holds <|end_of_text|> alone
    "<|eot|>",  # Llama 4
    "<|im_end|>",  # Qwen and others in ChatML
    "<end_of_turn>",  # Gemma
    "<turn|>",  # Gemma 4
    "<end_of_utterance>",  # SmolVLM
    "<|end|>",  # Phi
    "<|return|>",  # GPT-OSS
    "<|flush|>",  # Solar Open
    "<|endofturn|>",  # EXAONE
    "<|END_OF_TURN_TOKEN|>",  # Command R
)


def added_tokens(tokenizer: PreTrainedTokenizerBase | None) -> dict[str, int]:
    """The tokens that a tokenizer has besides its vocabulary, by name; none without a tokenizer."""
    return cast("PreTrainedTokenizerFast", tokenizer).get_added_vocab() if tokenizer is not None else {}


def special_tokens(tokenizer: PreTrainedTokenizerBase | None) -> dict[int, str]:
    """The added tokens that are no text, by id; none without a tokenizer."""
    if tokenizer is None:
        return {}
    return {id: token.content for id, token in tokenizer.added_tokens_decoder.items() if token.special}


def find_stop_tokens(generation_config: GenerationConfig, tokenizer: PreTrainedTokenizerBase | None) -> tuple[int, ...]:
    """Sorted ids: the generation config's EOS list, the tokenizer's EOS, and its end-of-turn tokens."""
    eos = generation_config.eos_token_id
    stops = {int(token) for token in (eos if isinstance(eos, list | tuple) else [eos]) if token is not None}
    if tokenizer is not None:
        if tokenizer.eos_token_id is not None:
            stops.add(int(cast(int, tokenizer.eos_token_id)))
        special = added_tokens(tokenizer)
        names = set(END_OF_TURN) & set(special)
        stops.update(special[name] for name in names)
        if names & {"<|return|>", "<|flush|>"}:  # their models end thoughts with <|end|>, and the answer comes after it
            stops.discard(special.get("<|end|>", -1))
    return tuple(sorted(stops))


def find_end_token(
    tokenizer: PreTrainedTokenizerBase | None, stop_tokens: Sequence[int], vocab_size: int
) -> int | None:
    """The stop token that the model itself would end a text with: that of its turn, else its EOS; None without any."""
    special = added_tokens(tokenizer)
    wanted = [*(special.get(name) for name in END_OF_TURN), getattr(tokenizer, "eos_token_id", None), *stop_tokens]
    return next((token for token in wanted if token in stop_tokens and token < vocab_size), None)


def find_pad_token(
    generation_config: GenerationConfig,
    tokenizer: PreTrainedTokenizerBase | None,
    stop_tokens: tuple[int, ...],
    vocab_size: int,
) -> int:
    """The padding token, else a stop token, else 0: the attention mask tells padding apart, never the id.

    A tokenizer's padding token may lie beyond the model's vocabulary and would then break the embedding.
    """
    candidates = (generation_config.pad_token_id, getattr(tokenizer, "pad_token_id", None), *stop_tokens, 0)
    return next(int(token) for token in candidates if token is not None and 0 <= token < vocab_size)


class StopTokens:
    """Which tokens end a row: the engine's own, or those that a row names itself. One line of a table for each set."""

    def __init__(self, default: Sequence[int], vocab_size: int, device: torch.device) -> None:
        self._groups: dict[tuple[int, ...], int] = {}
        self.table_GV = torch.zeros(0, vocab_size, dtype=torch.bool, device=device)
        """[groups, vocabulary], on the device."""
        self._tokens = tuple(default)
        self._default = self._add(self._tokens)

    def group(self, stop_token_ids: Sequence[int]) -> int:
        """The line of a row's stop tokens; without any of its own, the engine's."""
        return self._add(tuple(stop_token_ids)) if stop_token_ids else self._default

    def of(self, stop_token_ids: Sequence[int]) -> tuple[int, ...]:
        """The tokens that end a row: its own, or the engine's."""
        return tuple(stop_token_ids) or self._tokens

    def end(self, tokens_R: torch.Tensor, groups: Sequence[int]) -> torch.Tensor:
        """[R] of bool: whether each row's token is one of its stop tokens."""
        return self.table_GV[upload(groups, tokens_R.device), tokens_R]

    def _add(self, tokens: tuple[int, ...]) -> int:
        if tokens not in self._groups:
            line_V = self.table_GV.new_zeros(1, self.table_GV.shape[1])
            line_V[0, [token for token in tokens if token < line_V.shape[1]]] = True
            self.table_GV = torch.cat([self.table_GV, line_V])
            self._groups[tokens] = len(self._groups)
        return self._groups[tokens]


class StopStrings:
    """Where generated tokens spell a stop string out. Raises ModelRefused where a model has no tokenizer to tell."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase | None) -> None:
        self._tokenizer = tokenizer
        self._criteria: dict[tuple[str, ...], StopStringCriteria] = {}

    def require(self, strings: Sequence[str]) -> None:
        """Make ready for these strings: reading a large vocabulary takes seconds."""
        if strings:
            while len(self._criteria) >= NUM_KEPT:  # the longest unused; a row that still needs it makes it anew
                del self._criteria[next(iter(self._criteria))]
            self._criteria_of(tuple(strings))

    def width(self, strings: Sequence[str]) -> int:
        """The newest tokens of a row that have to be looked at."""
        return self._criteria_of(tuple(strings)).maximum_token_len

    def end(self, new_ids_RT: torch.Tensor, strings: Sequence[str]) -> torch.Tensor:
        """[R] of bool: whether the newest token of each row completes one. Ids beyond the vocabulary match nothing."""
        return self._criteria_of(tuple(strings))(cast(torch.LongTensor, new_ids_RT), None)

    def _criteria_of(self, strings: tuple[str, ...]) -> StopStringCriteria:
        if self._tokenizer is None:
            raise ModelRefused("stop strings need the model's tokenizer, and it has none; use stop token ids")
        found = self._criteria.pop(strings, None) or StopStringCriteria(self._tokenizer, list(strings))
        self._criteria[strings] = found
        return found


class StopWindow:
    """The newest tokens of the rows in slots, as far back as a stop string can reach, on the device."""

    BLANK = 2**31
    """No token: beyond every vocabulary, so that no stop string begins before a row's own text."""

    def __init__(self, num_slots: int, strings: StopStrings, device: torch.device) -> None:
        self._num_slots, self._strings, self._device = num_slots, strings, device
        self._ids_ST: torch.Tensor | None = None

    def clear(self, slot: int) -> None:
        """A new row stands in this slot."""
        if self._ids_ST is not None:
            self._ids_ST[slot] = self.BLANK

    def end(
        self, tokens_R: torch.Tensor, slots: Sequence[int], owns: Sequence[Sampling], steps: Sequence[int]
    ) -> torch.Tensor:
        """[R] of bool: whether each row's newest token completes one of its stop strings."""
        ends_R = torch.zeros(len(slots), dtype=torch.bool, device=self._device)
        sets = {tuple(own.stop_strings) for own in owns} - {()}
        if not sets:
            return ends_R
        width = max(self._strings.width(strings) for strings in sets)
        if self._ids_ST is None or self._ids_ST.shape[1] < width:
            before, self._ids_ST = self._ids_ST, tokens_R.new_full((self._num_slots, width), self.BLANK)
            if before is not None:
                self._ids_ST[:, -before.shape[1] :] = before
        slots_R = upload(slots, self._device)
        ids_RT = torch.cat([self._ids_ST[slots_R, 1:], tokens_R[:, None]], dim=1)
        self._ids_ST[slots_R] = ids_RT
        for strings in sets:
            obeys = [
                tuple(own.stop_strings) == strings and step + 1 >= own.min_new_tokens
                for own, step in zip(owns, steps, strict=True)
            ]
            ends_R |= self._strings.end(ids_RT, strings) & upload(obeys, self._device)
        return ends_R
