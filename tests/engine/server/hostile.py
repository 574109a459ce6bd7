"""A server of token ids in this process that does whatever a test says to a request, and otherwise answers as vLLM."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable

from aiohttp import web

from tests.engine.server.answers import answer
from tests.engine.server.faults import FAULTS, OTHERS

Fault = Callable[["HostileServer", web.Request, dict], str | None]
"""What is done to a request: the name of one of `FAULTS`, or None."""


def never(server, request, body):
    return None


class HostileServer:
    """Serves in a thread of its own from `with` to `with`; its address stays the same when it dies and comes back."""

    def __init__(self, fault: Fault = never, *, key: str | None = None, models: tuple[str, ...] = ("tiny",)) -> None:
        self.fault, self.key, self.models = fault, key, models
        self.num_asked, self.num_answered = Counter(), Counter()
        """Texts by prompt."""
        self.faults, self.seen = Counter(), []
        """Faults that were done by name, and the headers of each request."""
        self.bodies = []
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._runner: web.AppRunner | None = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self):
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self.begin()
        return self

    def __exit__(self, *_):
        self.die()
        self._run(self._let_go())
        self._loop.call_soon_threadsafe(self._loop.stop)

    def begin(self):
        self._run(self._begin())

    def die(self):
        self._run(self._end())

    def _run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _begin(self):
        app = web.Application(client_max_size=2**26)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/completions", self._completions)
        app.router.add_post("/v1/chat/completions", self._completions)
        self._runner = web.AppRunner(app, shutdown_timeout=0.01)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]

    async def _end(self):
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    async def _let_go(self):
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def die_for(self, seconds):
        """From within the loop: gone, and there again."""
        if self._runner is None:
            return
        await self._end()
        await asyncio.sleep(seconds)
        await self._begin()

    async def _models(self, request):
        self.seen.append(dict(request.headers))
        if self.key is not None and request.headers.get("Authorization") != f"Bearer {self.key}":
            return web.json_response({"error": {"message": f"no such key: {request.headers}"}}, status=401)
        return web.json_response({"data": [{"id": name, "max_model_len": 512} for name in self.models]})

    async def _completions(self, request):
        self.seen.append(dict(request.headers))
        body = await request.json()
        self.bodies.append(body)
        prompt = tuple(body["prompt"]) if "prompt" in body else body["messages"][-1]["content"]
        self.num_asked[prompt] += 1
        name = self.fault(self, request, body)
        if name is not None:
            self.faults[name] += 1
            response = await {**FAULTS, **OTHERS}[name](self, request, body)
        else:
            response = web.json_response({"choices": [answer(body)], "usage": {"completion_tokens": 3}})
        if name is None:
            self.num_answered[prompt] += 1
        return response
