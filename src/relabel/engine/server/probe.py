"""What a server can do, found out by asking it: its model, whether token ids really come back, numbers, seeds.

Knows HTTP by `Wire` alone; nothing of rows. What an answer says is compared, never quoted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from relabel.engine.server.tokens import PATH, numbers, only_choice, token_ids
from relabel.engine.server.verdicts import Broken, Document, Meaning, document_of, meaning_of, why_stop
from relabel.engine.server.wire import Wire
from relabel.errors import ModelRefused

NUM_TOKENS = 12
"""Of each text that is tried."""
SEEDS = (11, 12)
CHAT_PATH = "/chat/completions"
LENGTH_KEYS = ("max_tokens", "max_completion_tokens")
"""The first is most servers', the second that of OpenAI's newer models, which refuse the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is known of one server, or of several together."""

    model: str
    """Its name for the model."""
    max_tokens: int | None = None
    """Of a prompt and its text; None where it does not say."""
    version: str | None = None
    """Of vLLM; None where it does not say."""
    has_logprobs: bool = False
    """Whether it gives the log-probabilities of texts."""
    scores: bool = False
    """Whether it gives those of a text that is given."""
    obeys_seeds: bool = False
    length_key: str = "max_tokens"
    """Its word for the most new tokens of a chat."""

    def is_kept_by(self, other: Found) -> bool:
        """Whether another server, or the same one later, can do all that was found."""
        longest = other.max_tokens or self.max_tokens or 0
        numbers = (self.has_logprobs <= other.has_logprobs) and (self.scores <= other.scores)
        return other.model == self.model and numbers and longest >= (self.max_tokens or 0)


async def find_model(wire: Wire, url: str, wanted: str | None) -> Found:
    """The model of a server, by `/models`. Raises ModelRefused, or Broken where no answer came."""
    answer = await _answer(wire, url, "/models")
    listed = answer.get("data")
    if not isinstance(listed, list):
        raise Broken("an answer that lists no models")
    models = {one["id"]: one for one in listed if isinstance(one, dict) and isinstance(one.get("id"), str)}
    if wanted is not None and wanted not in models:
        raise ModelRefused(f"{url} serves no model {wanted!r}, but {len(models)} others: change server.model")
    if wanted is None and len(models) != 1:
        raise ModelRefused(f"{url} serves {len(models)} models: name one in server.model")
    name = wanted or next(iter(models))
    length = models[name].get("max_model_len")
    return Found(model=name, max_tokens=length if type(length) is int and length > 0 else None)


async def find_tokens(
    wire: Wire, url: str, wanted: str | None, *, prompt: Sequence[int], text: str, text_ids: Sequence[int], vocab: int
) -> Found:
    """What a server of tokens can do.

    `prompt` are plain tokens of the model, and `text_ids` those that its tokenizer makes of `text`, without special
    ones. Raises ModelRefused, or Broken where no answer came.
    """
    found = await find_model(wire, url, wanted)
    await _check_tokenizer(wire, url, found.model, text, text_ids)
    plain = {"max_tokens": NUM_TOKENS, "ignore_eos": True, "temperature": 0.0}
    body = {"model": found.model, "prompt": list(prompt), "return_token_ids": True, **plain}
    choice = only_choice(await _answer(wire, url, PATH, {**body, "logprobs": 0}))
    if "token_ids" not in choice or "prompt_token_ids" not in choice:
        raise ModelRefused(
            f"{url} gives no token ids back (return_token_ids), as vLLM from 0.10 does: set server.api: chat, which "
            "sends messages and takes texts"
        )
    if choice["prompt_token_ids"] != list(prompt):
        raise ModelRefused(f"{url} does not take a prompt as the token ids that it is")
    try:
        tokens = token_ids(choice, vocab)
    except Broken:
        raise ModelRefused(
            f"{url} gives tokens that the tokenizer of model.path does not have: another model"
        ) from None
    if len(tokens) != NUM_TOKENS:
        raise ModelRefused(f"{url} gives {len(tokens)} tokens where {NUM_TOKENS} are asked with ignore_eos")
    drawn = [await _drawn(wire, url, body, seed, vocab) for seed in (SEEDS[0], SEEDS[0], SEEDS[1])]
    return Found(
        model=found.model,
        max_tokens=found.max_tokens,
        version=await _version(wire, url),
        has_logprobs=_are_numbers((choice.get("logprobs") or {}).get("token_logprobs"), NUM_TOKENS),
        scores=await _scores(wire, url, body, len(prompt)),
        obeys_seeds=drawn[0] == drawn[1] != drawn[2],
    )


async def find_chats(wire: Wire, url: str, wanted: str | None) -> Found:
    """What a server of chats can do. Raises ModelRefused, or Broken where no answer came."""
    found = await find_model(wire, url, wanted)
    body = {"model": found.model, "messages": [{"role": "user", "content": "Say one word."}]}
    for key in LENGTH_KEYS:
        if await takes(wire, url, {**body, key: NUM_TOKENS}, CHAT_PATH):
            return replace(found, length_key=key)
    await _answer(wire, url, CHAT_PATH, {**body, LENGTH_KEYS[0]: NUM_TOKENS})
    raise ModelRefused(f"{url} takes no chats")


async def takes(wire: Wire, url: str, body: Document, path: str = PATH) -> bool:
    """Whether a server takes a body, which it may refuse as a whole. Raises Broken where no answer came."""
    reply = await wire.ask(f"{url}{path}", body)
    meaning = meaning_of(reply.status, reply.body)
    if meaning in (Meaning.BUSY, Meaning.BROKEN):
        raise Broken(f"an answer of {reply.status}")
    return meaning is Meaning.ANSWER


async def _answer(wire: Wire, url: str, path: str, body: Document | None = None) -> Document:
    reply = await wire.ask(f"{url}{path}", body)
    meaning = meaning_of(reply.status, reply.body)
    if meaning is Meaning.RUN:
        raise ModelRefused(f"{url} serves nobody: {why_stop(reply.status)}")
    if meaning is Meaning.ROW:
        raise ModelRefused(f"{url} does not take what every row asks ({path} answers with {reply.status})")
    if meaning is not Meaning.ANSWER:
        raise Broken(f"an answer of {reply.status}")
    return document_of(reply.body)


async def _check_tokenizer(wire: Wire, url: str, model: str, text: str, text_ids: Sequence[int]) -> None:
    """Where a server says what its tokenizer makes of a text, it is what ours does: else it is another model."""
    root = url.removesuffix("/").removesuffix("/v1")
    body = {"model": model, "prompt": text, "add_special_tokens": False}
    reply = await wire.ask(f"{root}/tokenize", body)
    if reply.status != 200:
        return
    told = document_of(reply.body).get("tokens")
    if isinstance(told, list) and told != list(text_ids):
        raise ModelRefused(f"{url} makes other tokens of a text than the tokenizer of model.path: it is another model")


async def _drawn(wire: Wire, url: str, body: Document, seed: int, vocab: int) -> list[int]:
    answer = await _answer(wire, url, PATH, {**body, "temperature": 2.0, "seed": seed})
    return token_ids(only_choice(answer), vocab)


async def _scores(wire: Wire, url: str, body: Document, length: int) -> bool:
    body = {**body, "max_tokens": 1, "prompt_logprobs": 0}
    if not await takes(wire, url, body):
        return False
    told = only_choice(await _answer(wire, url, PATH, body)).get("prompt_logprobs")
    return isinstance(told, list) and len(told) == length


async def _version(wire: Wire, url: str) -> str | None:
    reply = await wire.ask(f"{url.removesuffix('/').removesuffix('/v1')}/version")
    if reply.status != 200:
        return None
    version = document_of(reply.body).get("version")
    return version[:40] if isinstance(version, str) and version.isascii() and version.isprintable() else None


def _are_numbers(values: object, count: int) -> bool:
    try:
        numbers(values, count)
    except Broken:
        return False
    return True
