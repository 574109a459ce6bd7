"""What a server of token ids answers that means well: texts that depend on the prompt and its seed alone."""

import random

VOCAB_SIZE = 400
BEGINNINGS = (1, 10)
"""Of the prompts of rows."""


def is_look(body):
    """Whether it looks what the server can do, and asks for no row."""
    return body["prompt"][0] not in BEGINNINGS


def text_of(body):
    """The tokens of a text, without one that ends it."""
    seed = body.get("seed") if body["temperature"] else None
    chance = random.Random(repr((body["prompt"], seed)))
    length = chance.randrange(1, 9) if body.get("stop_token_ids") else body["max_tokens"]
    return [chance.randrange(40, 90) for _ in range(min(length, body["max_tokens"]))]


def answer(body):
    """The choice for a body, as vLLM has it."""
    if "messages" in body:
        text = f"to: {body['messages'][-1]['content']}"
        return {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    tokens = text_of(body)
    reason, stop_reason = "length", None
    if body.get("stop_token_ids") and len(tokens) < body["max_tokens"]:
        reason, stop_reason = "stop", body["stop_token_ids"][0]
        tokens.append(stop_reason)
    choice = {"index": 0, "text": "", "finish_reason": reason, "stop_reason": stop_reason}
    if body.get("return_token_ids"):
        choice |= {"token_ids": tokens, "prompt_token_ids": body["prompt"]}
    if body.get("logprobs") is not None:
        choice["logprobs"] = {"token_logprobs": [-token / 100 for token in tokens]}
    if body.get("prompt_logprobs") is not None:
        tables = [{str(token): {"logprob": -token / 100}} for token in body["prompt"]]
        choice["prompt_logprobs"] = [None, *tables[1:]]
    return choice
