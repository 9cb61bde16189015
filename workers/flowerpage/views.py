"""The page's addresses: the page itself, what it shows as JSON, its events, its cancel button."""

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from flower.views import BaseHandler
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, RequestHandler, authenticated

from tasks.messages import UNSENT
from workers.flowerpage.pulse import Pulse
from workers.flowerpage.shown import MOST, detail, overview
from xenlaunch import names, states
from xenlaunch.errors import StoreUnreachable, UnknownLaunch
from xenlaunch.ledger import Ledger

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
AT_MOST_EVERY: Final = 0.25
STILL_HERE_EVERY: Final = 15.0


class Page(BaseHandler):  # type: ignore[misc]  # flower has no types
    """The page: one for the overview and for every launch; its script reads the rest."""

    @authenticated
    def get(self, launch: str = "") -> None:
        self.set_header("Content-Security-Policy", POLICY)
        self.set_header("Referrer-Policy", "same-origin")
        self.render("launches.html", launch=launch)


class Answering(BaseHandler):  # type: ignore[misc]  # flower has no types
    """An address that answers in JSON, from the ledger."""

    def initialize(self, ledger: Callable[[], Ledger]) -> None:
        self.ledger = ledger

    async def answer(self, ask: Callable[[Ledger], Any]) -> Any:
        """What the ledger says, asked in a thread; what it raises becomes a status."""
        try:
            return await asyncio.to_thread(lambda: ask(self.ledger()))
        except UnknownLaunch as unknown:
            raise HTTPError(404, unknown.message.replace("%", "%%")) from None
        except StoreUnreachable as lost:
            raise HTTPError(503, lost.message) from None

    def say(self, answer: dict[str, Any], status: int = 200) -> None:
        answer = {"now": round(time.time() * 1000), **answer}
        self.set_status(status)
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        self.finish(json.dumps(answer))

    def write_error(self, status_code: int, **about: Any) -> None:
        error = about.get("exc_info", (None, None))[1]
        message = error.get_message() if isinstance(error, HTTPError) else ""
        if status_code == 401:
            self.set_header("WWW-Authenticate", 'Basic realm="flower"')
        self.say({"message": message or "Something went wrong in Flower."}, status_code)


class Overview(Answering):
    """Batches and launches."""

    @authenticated
    async def get(self) -> None:
        state = self.get_argument("state", "") or None
        batch = self.get_argument("batch", "") or None
        if state not in {None, *states.PUBLIC}:
            raise HTTPError(400, "There is no such state.")
        limit = min(MOST, max(1, self.get_argument("limit", 100, type=int)))
        self.say(await self.answer(lambda ledger: overview(ledger, state, batch, limit)))


class Detail(Answering):
    """One launch."""

    @authenticated
    async def get(self, launch: str) -> None:
        self.say(await self.answer(lambda ledger: detail(ledger, launch)))


class Cancel(Answering):
    """Has a worker cancel a launch: Flower itself may not write the ledger."""

    def check_xsrf_cookie(self) -> None:
        """Flower's own check trusts whoever has a password: a form elsewhere has the browser's."""
        super().check_xsrf_cookie()
        RequestHandler.check_xsrf_cookie(self)

    @authenticated
    async def post(self, launch: str) -> None:
        options = self.application.options
        if not (options.basic_auth or options.auth):
            raise HTTPError(403, "Without authentication nothing is cancelled here.")
        status = await self.answer(lambda ledger: ledger.status(launch))
        if status.has_ended:
            raise HTTPError(409, "The launch has ended already.")
        try:
            await asyncio.to_thread(self._send, launch, status.name)
        except UNSENT:
            raise HTTPError(503, "Redis does not answer.") from None
        self.say({"sent": launch}, 202)

    def _send(self, launch: str, name: str) -> None:
        self.capp.send_task(
            names.TASK_CANCEL,
            args=(launch,),
            argsrepr=f"({launch}, {name})",
            queue=names.CONTROL_QUEUE,
            expires=60,
            ignore_result=True,
            retry=False,
        )


class Events(BaseHandler):  # type: ignore[misc]  # flower has no types
    """A stream that says which launches have changed, until the browser leaves."""

    def initialize(self, pulse: Pulse) -> None:
        self.pulse = pulse

    @authenticated
    async def get(self) -> None:
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-store")
        self.write("retry: 2000\n\n")
        queue = self.pulse.listen()
        try:
            with suppress(StreamClosedError):
                await self.flush()
                while True:
                    self.write(await _next(queue))
                    await self.flush()
                    await asyncio.sleep(AT_MOST_EVERY)
        finally:
            self.pulse.leave(queue)

    def on_connection_close(self) -> None:
        """Nothing is written to a browser that has left: the next flush ends the stream."""


async def _next(queue: "asyncio.Queue[list[str]]") -> str:
    """All news that are there, at least one; or a sign of life."""
    try:
        launches = await asyncio.wait_for(queue.get(), STILL_HERE_EVERY)
    except TimeoutError:
        return ": still here\n\n"
    while not queue.empty():
        launches = [*launches, *queue.get_nowait()]
    return f"data: {json.dumps(list(dict.fromkeys(launches)))}\n\n"
