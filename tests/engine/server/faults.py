"""What a server of a test does to a request in place of an answer, by name."""

import asyncio
import json

from aiohttp import web

from tests.engine.server.answers import VOCAB_SIZE, answer


async def _hangs(server, request, body):
    await asyncio.sleep(3600)


async def _slow(server, request, body):
    await asyncio.sleep(0.2)
    return web.json_response({"choices": [answer(body)]})


def _says(status, **headers):
    async def say(server, request, body):
        message = f"the body was {body}, the headers {dict(request.headers)}"
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response({"error": {"message": message}}, status=status, headers=names)

    return say


def _gives(**changed):
    async def give(server, request, body):
        choice = answer(body)
        return web.json_response({"choices": [{**choice, **{k: v(choice) for k, v in changed.items()}}]})

    return give


async def _cuts(server, request, body):
    whole = json.dumps({"choices": [answer(body)]}).encode()
    response = web.StreamResponse(headers={"Content-Length": str(len(whole)), "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(whole[: len(whole) // 2])
    request.transport.abort()
    return response


async def _cuts_json(server, request, body):
    whole = json.dumps({"choices": [answer(body)]})
    return web.Response(text=whole[: len(whole) // 2], content_type="application/json")


async def _floods(server, request, body):
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" " * 2**20)


async def _drips(server, request, body):
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.05)


async def _closes(server, request, body):
    request.transport.abort()
    return web.Response()


async def _dies(server, request, body):
    task = asyncio.ensure_future(server.die_for(0.3))
    server.dying = task
    request.transport.abort()
    return web.Response()


async def _two_texts(server, request, body):
    return web.json_response({"choices": [answer(body), answer(body)]})


async def _nothing(server, request, body):
    return web.json_response({"choices": []})


async def _a_list(server, request, body):
    return web.json_response([1, 2])


async def _deep(server, request, body):
    return web.Response(text="[" * 100_000, content_type="application/json")


FAULTS = {
    "hangs": _hangs,
    "slow": _slow,
    "drips": _drips,
    "busy": _says(429, Retry_After="0.05"),
    "busy without a time": _says(429),
    "busy until a date": _says(503, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"),
    "overloaded": _says(529),
    "error": _says(500),
    "bad gateway": _says(502),
    "timeout of a gateway": _says(504),
    "refused": _says(400),
    "too large": _says(413),
    "no key": _says(401),
    "forbidden": _says(403),
    "gone": _says(404),
    "moved": _says(307, Location="http://127.0.0.1:9/v1/completions"),
    "cut": _cuts,
    "cut json": _cuts_json,
    "flood": _floods,
    "closes": _closes,
    "dies": _dies,
    "two texts": _two_texts,
    "nothing": _nothing,
    "a list": _a_list,
    "deep": _deep,
    "tokens of another": _gives(token_ids=lambda choice: [VOCAB_SIZE + 1] * len(choice["token_ids"])),
    "no ids": _gives(token_ids=lambda choice: None),
    "words for ids": _gives(token_ids=lambda choice: ["a"] * len(choice["token_ids"])),
    "true for ids": _gives(token_ids=lambda choice: [True] * len(choice["token_ids"])),
    "too many tokens": _gives(token_ids=lambda choice: [50] * 500),
    "no tokens": _gives(token_ids=lambda choice: []),
    "another end": _gives(token_ids=lambda choice: [*choice["token_ids"][:-1], 77], finish_reason=lambda _: "stop"),
    "cut off early": _gives(token_ids=lambda choice: choice["token_ids"][:1], finish_reason=lambda _: "length"),
    "aborted": _gives(finish_reason=lambda _: "abort"),
    "no reason": _gives(finish_reason=lambda _: None),
    "another prompt": _gives(prompt_token_ids=lambda choice: [*choice["prompt_token_ids"], 5]),
}


async def _without_ids(server, request, body):
    choice = {name: value for name, value in answer(body).items() if not name.endswith("token_ids")}
    return web.json_response({"choices": [choice]})


OTHERS = {
    "no ids at all": _without_ids,
    "json": _gives(message=lambda _: {"content": '{"n": 3}'}),
    "other json": _gives(message=lambda _: {"content": '{"n": "three"}'}),
    "filtered": _gives(finish_reason=lambda _: "content_filter"),
    "no text": _gives(message=lambda _: {"content": None}),
    "only thoughts": _gives(message=lambda _: {"content": None}, finish_reason=lambda _: "length"),
    "called a tool": _gives(finish_reason=lambda _: "tool_calls"),
}
