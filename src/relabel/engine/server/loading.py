"""From addresses to an engine that asks them, or a refusal that says what to do.

Every server is asked what it can do before any row: what comes out for all of them together is what rows may ask.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, cast

from transformers import GenerationConfig

from relabel.engine.api.request import Request, Sampling
from relabel.engine.api.verdict import Verdict
from relabel.engine.checkpoint.files import check_config, locate
from relabel.engine.loop import Loop
from relabel.engine.model.processor import load_tokenizer
from relabel.engine.sampling.stops import find_end_token, find_stop_tokens
from relabel.engine.server.chat import HELLO, ChatDialect
from relabel.engine.server.chat import PATH as CHAT_PATH
from relabel.engine.server.engine import ServerEngine
from relabel.engine.server.pace import Pace
from relabel.engine.server.pool import Address, Pool
from relabel.engine.server.probe import Found, find_chats, find_tokens, takes
from relabel.engine.server.promises import not_kept
from relabel.engine.server.settings import ServerSettings
from relabel.engine.server.tokens import PATH as TOKENS_PATH
from relabel.engine.server.tokens import TokenDialect
from relabel.engine.server.verdicts import Broken, Document
from relabel.engine.server.wire import Wire, key_of
from relabel.engine.vllm.sampling import Stops
from relabel.errors import ArgumentRefused, ModelRefused
from relabel.rejected import Code, Rejected

if TYPE_CHECKING:
    pass

log = logging.getLogger("relabel")

TEXT = "Two words, 12 signs and one last: é."
"""What a tokenizer is told by."""
MOST_TRIES = 3
"""Looks at each server before it is left out at the start."""


def load_tokens(
    path: str, *, sampling: Sampling, settings: ServerSettings, revision: str | None = None
) -> ServerEngine:
    """Servers that take and give token ids of the model whose tokenizer is at `path`, a folder or a hub name.

    Raises ModelRefused where one of them is of another model, cannot do what the settings ask, or none answers.
    """
    folder = locate(path, revision)
    config = check_config(folder)
    tokenizer = load_tokenizer(path, revision)
    if tokenizer is None:
        raise ModelRefused(f"{path} has no tokenizer, and servers are asked in its tokens")
    try:
        generation = GenerationConfig.from_pretrained(folder, local_files_only=True)
    except OSError:  # the config of old checkpoints says it
        generation = GenerationConfig(eos_token_id=config.get("eos_token_id"))
    stops = find_stop_tokens(generation, tokenizer)
    text_config = config.get("text_config")
    sizes = [part.get("vocab_size") for part in (text_config, config) if isinstance(part, dict)]
    vocab_size = next((size for size in sizes if isinstance(size, int)), len(tokenizer))
    ends = Stops(default=stops, end_token=find_end_token(tokenizer, stops, vocab_size), vocab_size=vocab_size)
    text_ids = cast("list[int]", tokenizer(TEXT, add_special_tokens=False)["input_ids"])
    prompt = text_ids or [vocab_size - 1]

    async def look(wire: Wire, url: str) -> Found:
        return await find_tokens(
            wire, url, settings.model, prompt=prompt, text=TEXT, text_ids=text_ids, vocab=vocab_size
        )

    loop = Loop("server")
    wire, pool, found = loop.run(_begin(settings, look))
    dialect = TokenDialect(
        found.model,
        tokenizer,
        ends,
        max_tokens=found.max_tokens,
        grammar_end=cast("int | None", tokenizer.eos_token_id),
    )

    asked = Request(id=0, prompt_ids=prompt)
    short = {"max_tokens": 1, "min_tokens": 0}

    def tried(own: Sampling) -> Rejected | None:
        if own.logprobs and not (found.scores and found.has_logprobs):
            return Rejected(Code.SAMPLING, "the servers give no log-probabilities, which label.logprobs asks for")
        return loop.run(_tried(wire, pool, TOKENS_PATH, {**dialect.body(asked, own), **short}, own))

    version = f"vLLM {found.version}" if found.version else "server"
    notes = [*not_kept("tokens"), *([] if found.obeys_seeds else ["the servers do not obey seeds"])]
    verdict = _verdict(version, settings, notes)
    return ServerEngine(loop, wire, pool, dialect, sampling, verdict, tried=tried, timeout=settings.timeout)


def load_chats(*, sampling: Sampling, settings: ServerSettings) -> ServerEngine:
    """Servers that take messages and give texts. Raises ModelRefused like `load_tokens`."""

    async def look(wire: Wire, url: str) -> Found:
        return await find_chats(wire, url, settings.model)

    loop = Loop("server")
    wire, pool, found = loop.run(_begin(settings, look))
    dialect = ChatDialect(found.model, found.length_key)
    asked = Request(id=0, prompt_ids=[0], chat=HELLO)

    def tried(own: Sampling) -> Rejected | None:
        return loop.run(_tried(wire, pool, CHAT_PATH, dialect.body(asked, own), own))

    verdict = _verdict("server", settings, not_kept("chat"))
    return ServerEngine(loop, wire, pool, dialect, sampling, verdict, tried=tried, timeout=settings.timeout)


def _verdict(who: str, settings: ServerSettings, notes: Sequence[str]) -> Verdict:
    num = len(settings.urls)
    where = f"{who} at {num} addresses" if num > 1 else f"{who} at one address"
    return Verdict(batching="server", attention=where, difference=None, notes=tuple(notes))


async def _begin(settings: ServerSettings, look: Callable[[Wire, str], Awaitable[Found]]) -> tuple[Wire, Pool, Found]:
    wire = Wire(key_of(settings.api_key_env), settings.timeout)
    try:
        urls = [url.rstrip("/") for url in settings.urls]
        looks = await asyncio.gather(*(_tries(partial(look, wire, url), settings.first_wait) for url in urls))
        found = _together(urls, looks)

        async def works(address: Address) -> bool:
            try:
                return found.is_kept_by(await look(wire, address.url))
            except Broken as error:
                address.why = str(error)
            except ModelRefused as error:  # another model behind the same address
                log.warning("%s", error)
            return False

        pool = Pool(
            addresses=[Address(url=url, pace=Pace(settings.max_requests)) for url in urls],
            works=works,
            patience=settings.patience,
            first_wait=settings.first_wait,
        )
        for address, one in zip(pool.addresses, looks, strict=True):
            if isinstance(one, Broken):
                address.why = str(one)
                pool.leave_out(address)
    except BaseException:
        await wire.close()
        raise
    return wire, pool, found


async def _tries(look: Callable[[], Awaitable[Found]], wait: float) -> Found | Broken:
    """What is found out about a server, or why nothing is."""
    for left in reversed(range(MOST_TRIES)):
        try:
            return await look()
        except Broken as error:
            if not left:
                return error
            await asyncio.sleep(wait)
    raise AssertionError


def _together(urls: Sequence[str], looks: Sequence[Found | Broken]) -> Found:
    """What all servers that answer can do. Raises ModelRefused."""
    known = [one for one in looks if isinstance(one, Found)]
    if not known:
        raise ModelRefused(f"no server answers: {urls[0]} gives {looks[0]}; start it, or change server.urls")
    if len({one.model for one in known}) > 1:
        raise ModelRefused("the servers call their models by several names: they are to be all of the same model")
    return replace(
        known[0],
        max_tokens=min((one.max_tokens for one in known if one.max_tokens is not None), default=None),
        has_logprobs=all(one.has_logprobs for one in known),
        scores=all(one.scores for one in known),
        obeys_seeds=all(one.obeys_seeds for one in known),
    )


async def _tried(wire: Wire, pool: Pool, path: str, body: Document, own: Sampling) -> Rejected | None:
    """Why servers refuse all rows of these settings, found out with a short prompt; None where they take them."""
    for address in pool.addresses:
        if address.is_out:
            continue
        try:
            is_taken = await takes(wire, address.url, body, path)
        except Broken:  # it may come back
            continue
        if not is_taken and own.constraint is not None:
            raise ArgumentRefused(
                f"{address.url} cannot hold texts to this label: start vLLM with --structured-outputs-config.backend "
                "guidance and ask it for tokens, or set ",
                "constraint=None",
                " to check the texts afterwards alone",
            )
        if not is_taken:
            return Rejected(Code.SAMPLING, f"{address.url} does not take the settings of these rows")
    return None
