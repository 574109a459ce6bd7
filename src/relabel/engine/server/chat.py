"""Servers that take messages and give texts: OpenAI's, TGI, llama.cpp, SGLang, vLLM's own. What they cannot be sent is
refused; what they give is text alone, without tokens and numbers, and is held to nothing but a JSON schema.

Knows nothing of HTTP.
"""

from __future__ import annotations

import json
from functools import partial

from relabel.engine.api.request import Request, Result, Sampling, cut_at_stop
from relabel.engine.server.asking import Ask
from relabel.engine.server.tokens import ANSWER_BYTES, TOKEN_BYTES, only_choice
from relabel.engine.server.verdicts import Broken, Document
from relabel.engine.vllm.sampling import seed_of
from relabel.rejected import Code, Rejected

PATH = "/chat/completions"
PLAIN = {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0, "min_new_tokens": 0, "stop_token_ids": ()}
"""Settings that such servers are not sent, and what they are where they do nothing."""
SEED_BITS = 31
"""Of a seed: llama.cpp takes no more than 32."""
HELLO = (("user", "Say one word."),)


class ChatDialect:
    """One model, by the name that its servers have for it. `length_key` is their word for the most new tokens."""

    end_token: int | None = None

    def __init__(self, model: str, length_key: str) -> None:
        self._model, self._length_key = model, length_key

    def refuse_settings(self, own: Sampling) -> Rejected | None:
        """Why no row can be generated for with these settings; None where rows can."""
        for name, plain in PLAIN.items():
            if (value := getattr(own, name)) != plain and value:
                return Rejected(Code.SAMPLING, f"chat servers take no {name}")
        if own.logprobs:
            return Rejected(Code.SAMPLING, "chat servers give no log-probabilities of whole texts")
        if own.constraint is not None and own.constraint.kind != "json":
            return Rejected(Code.SAMPLING, "chat servers hold texts to a JSON schema at most")
        return None

    def refuse(self, request: Request, own: Sampling) -> Rejected | None:
        """Why a row cannot be sent; None where it can."""
        if request.tensors:
            return Rejected(Code.IMAGE, "servers take no images as this model's processor makes them")
        if not request.chat:
            return Rejected(Code.PROMPT, "it has no messages")
        return self.refuse_settings(own)

    def body(self, request: Request, own: Sampling) -> dict[str, object]:
        """What a server is sent for a text of a row: no key that does nothing, because some refuse some."""
        found: dict[str, object] = {
            "model": self._model,
            "messages": [{"role": role, "content": content} for role, content in request.chat],
            self._length_key: own.max_new_tokens,
            "temperature": own.temperature,
        }
        if own.top_p < 1:
            found["top_p"] = own.top_p
        if own.temperature:
            found["seed"] = seed_of(own.seed, request.id) >> (63 - SEED_BITS)
        if own.stop_strings:
            found["stop"] = list(own.stop_strings)
        if own.constraint is not None:
            schema = {"name": "label", "schema": json.loads(own.constraint.value)}
            found["response_format"] = {"type": "json_schema", "json_schema": schema}
        return found

    async def make(self, ask: Ask, request: Request, own: Sampling) -> Result:
        """The result of a row."""
        most = ANSWER_BYTES + TOKEN_BYTES * own.max_new_tokens
        found = await ask(PATH, self.body(request, own), partial(_read, request, own), most_bytes=most)
        return Result(id=request.id, error=found) if isinstance(found, Rejected) else found


def _read(request: Request, own: Sampling, answer: Document) -> Result:
    choice, reason = only_choice(answer), None
    message, reason = choice.get("message"), choice.get("finish_reason")
    if reason == "content_filter":
        return Result(id=request.id, error=Rejected(Code.PROMPT, "the server's filter took its text"))
    if not isinstance(message, dict) or reason not in ("stop", "length", "eos", "eos_token", "stop_sequence"):
        raise Broken("a text that was ended by the server")
    text = message.get("content")
    if text is None and reason == "length":  # all of it was thoughts
        text = ""
    if not isinstance(text, str):
        raise Broken("an answer without a text")
    usage = answer.get("usage")
    told = usage.get("completion_tokens") if isinstance(usage, dict) else None
    return Result(
        id=request.id,
        text=cut_at_stop(text.encode("utf-8", "replace").decode(), own.stop_strings),
        token_ids=None,
        num_tokens=told if type(told) is int and 0 <= told <= own.max_new_tokens else 0,
        finish_reason="length" if reason == "length" else "stop",
    )
