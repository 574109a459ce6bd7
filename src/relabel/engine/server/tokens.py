"""Servers that take and give token ids, as vLLM's do: what a row asks in their words, and what an answer must be.

An answer that cannot be one of this row, by its counts or its tokens, is none. Knows nothing of HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from relabel.engine.api.request import Request, Result, Sampling, unfit
from relabel.engine.sampling.detokenizer import Detokenizer
from relabel.engine.sampling.stops import added_tokens
from relabel.engine.server.asking import Ask
from relabel.engine.server.verdicts import Broken, Document
from relabel.engine.vllm.outcome import finite
from relabel.engine.vllm.sampling import Stops, refuse, sampling_fields, scoring_fields
from relabel.rejected import Code, Rejected

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PATH = "/completions"
ANSWER_BYTES, TOKEN_BYTES = 2**16, 2**10
"""Of an answer, and of each of its tokens with all that is said of it: more is no answer."""
NOT_OURS = ("detokenize", "skip_clone")
"""Fields that a vLLM of one's own takes, and a server does not."""


class TokenDialect:
    """One model, whose tokenizer is at hand here. `max_tokens` is of a prompt and its text, None where unknown."""

    def __init__(
        self,
        model: str,
        tokenizer: PreTrainedTokenizerBase,
        stops: Stops,
        *,
        max_tokens: int | None,
        grammar_end: int | None,
    ) -> None:
        """`grammar_end`: the token that the server ends constrained texts with, its tokenizer's EOS."""
        self._model, self._stops, self._grammar_end = model, stops, grammar_end
        self._bounds = {"max_tokens": max_tokens or 2**31, "num_embeddings": stops.vocab_size}
        self._marks = added_tokens(tokenizer)
        self._detokenizer = Detokenizer(tokenizer)
        self.end_token = stops.end_token

    def refuse_settings(self, own: Sampling) -> Rejected | None:
        """Why no row can be generated for with these settings; None where rows can."""
        if own.constraint is not None and self._grammar_end is None:
            return Rejected(Code.SAMPLING, "the model's tokenizer has no EOS, with which servers end constrained texts")
        return refuse(own, self._stops, guesses=False)

    def refuse(self, request: Request, own: Sampling) -> Rejected | None:
        """Why a row cannot be sent; None where it can."""
        if request.tensors:
            return Rejected(Code.IMAGE, "servers take no images as this model's processor makes them")
        if request.forced_ids:
            return unfit(request, Sampling(max_new_tokens=len(request.forced_ids)), **self._bounds)
        return unfit(request, own, **self._bounds) or self.refuse_settings(own)

    def body(self, request: Request, own: Sampling) -> dict[str, object]:
        """What a server is sent for a text of a row."""
        return self._body(request.prompt_ids, self._fields(own, request.id))

    async def make(self, ask: Ask, request: Request, own: Sampling) -> Result:
        """The result of a row, by one exchange or two."""
        if request.forced_ids:
            return await self._score(ask, request, list(request.forced_ids))
        body = self.body(request, own)
        read = partial(self._read, request, own)
        found = await ask(PATH, body, read, most_bytes=ANSWER_BYTES + TOKEN_BYTES * _num_tokens(request, own))
        if isinstance(found, Rejected):
            return Result(id=request.id, error=found)
        result, tokens = found
        if own.logprobs and own.constraint is not None and result.error is None:
            told = await self._score(ask, request, tokens)
            result = replace(result, logprobs=told.logprobs) if told.error is None else told
        return self._detokenizer.with_texts([result], [own])[0]

    async def _score(self, ask: Ask, request: Request, given: list[int]) -> Result:
        prompt = [*request.prompt_ids, *given]
        read = partial(_scored, request, given)
        body = self._body(prompt, scoring_fields())
        found = await ask(PATH, body, read, most_bytes=ANSWER_BYTES + TOKEN_BYTES * len(prompt))
        return Result(id=request.id, error=found) if isinstance(found, Rejected) else found

    def _fields(self, own: Sampling, request_id: int) -> dict[str, object]:
        fields = sampling_fields(own, request_id, self._stops)
        if own.constraint is not None:
            fields["structured_outputs"] = {"grammar": own.constraint.grammar(self._marks)}
            fields["stop_token_ids"] = [self._grammar_end]
        return fields

    def _body(self, prompt: Sequence[int], fields: Document) -> dict[str, object]:
        plain = {name: value for name, value in fields.items() if name not in NOT_OURS and value is not None}
        # all that a server could take from its checkpoint instead
        defaults = {"n": 1, "stream": False, "echo": False, "presence_penalty": 0.0, "frequency_penalty": 0.0}
        ids = {"prompt": list(map(int, prompt)), "return_token_ids": True}
        return {"model": self._model, **ids, **defaults, **plain}

    def _read(self, request: Request, own: Sampling, answer: Document) -> tuple[Result, list[int]]:
        choice = only_choice(answer, request.prompt_ids)
        tokens, reason = token_ids(choice, self._stops.vocab_size), choice.get("finish_reason")
        if reason not in ("stop", "length"):
            raise Broken("a text that was ended by the server")
        if not 1 <= len(tokens) <= own.max_new_tokens:
            raise Broken("a text with another number of tokens than it may have")
        ends = [self._grammar_end] if own.constraint is not None else self._stops.of(own)
        has_stop_token = reason == "stop" and not isinstance(choice.get("stop_reason"), str)
        if has_stop_token and tokens[-1] not in ends:
            raise Broken("a text that ends with no token that ends one")
        room = self._bounds["max_tokens"] - len(request.prompt_ids)
        if reason == "length" and len(tokens) < min(own.max_new_tokens, room):
            raise Broken("a text that was cut off early")
        kept = tokens[:-1] if has_stop_token else tokens
        if has_stop_token and own.constraint is not None and self._stops.end_token is not None:
            tokens = [*kept, self._stops.end_token]  # scored as the model would end it, not as the grammar had to
        logprobs = None
        if own.logprobs and own.constraint is None:
            logprobs = numbers((choice.get("logprobs") or {}).get("token_logprobs"), len(tokens))
        result = Result(id=request.id, token_ids=kept, num_tokens=len(kept), finish_reason=reason, logprobs=logprobs)
        return finite(result), tokens


def only_choice(answer: Document, prompt: Sequence[int] | None = None) -> Document:
    """The one text of an answer, to this prompt. Raises Broken."""
    choices = answer.get("choices")
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        raise Broken("an answer with another number of texts than one")
    told = choices[0].get("prompt_token_ids")
    if prompt is not None and told is not None and told != list(prompt):
        raise Broken("an answer to another prompt")
    return choices[0]


def token_ids(choice: Document, vocab_size: int) -> list[int]:
    """The tokens of a text. Raises Broken."""
    tokens = choice.get("token_ids")
    if not isinstance(tokens, list) or not all(type(token) is int and 0 <= token < vocab_size for token in tokens):
        raise Broken("an answer without token ids of this model")
    return tokens


def numbers(values: object, count: int) -> list[float]:
    """Log-probabilities, one for each token. Raises Broken."""
    if not isinstance(values, list) or len(values) != count:
        raise Broken("another number of log-probabilities than of tokens")
    if not all(isinstance(value, float | int) for value in values):
        raise Broken("log-probabilities that are no numbers")
    return [float(value) for value in values]


def _scored(request: Request, given: list[int], answer: Document) -> Result:
    choice = only_choice(answer, [*request.prompt_ids, *given])
    told = choice.get("prompt_logprobs")
    if not isinstance(told, list) or len(told) != len(request.prompt_ids) + len(given):
        raise Broken("another number of log-probabilities than of tokens")
    try:
        values = [
            table[str(token)]["logprob"] for token, table in zip(given, told[len(request.prompt_ids) :], strict=True)
        ]
    except (KeyError, TypeError):
        raise Broken("log-probabilities of other tokens") from None
    logprobs = numbers(values, len(given))
    result = Result(id=request.id, token_ids=given, num_tokens=len(given), finish_reason="length", logprobs=logprobs)
    return finite(result)


def _num_tokens(request: Request, own: Sampling) -> int:
    return len(request.prompt_ids) + own.max_new_tokens
