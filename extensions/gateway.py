"""The gateway: the websocket at which runners get tasks and send results.

    /public/v1/devops/ws/{environment}/{instance}?runner_type=background|interactive

A connection has one coroutine that receives and one that sends. All SQL runs in one thread. A
connection that ends keeps its tasks for a while (`dispatch`). An orderly stop closes with 1012, so
that the runner connects again. After a replacement of all data, a connection whose environment is
also in the new ones goes on: its runner gets a setup response, and what is due there.

A runner says when it connects how many tasks it works on, but not which: those of an earlier
connection may be among them, or lost with it, as are results that were sent but not stored. So they
are handed back, too: soon if it works on none, otherwise when none can last longer.
"""

from __future__ import annotations

import asyncio
import logging
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from django.conf import settings
from django.db import DatabaseError

from extensions import actions, dispatch, messages, tls
from extensions.definitions import BACKGROUND, INTERACTIVE, SCHEDULED
from extensions.messages import BadMessage, Result
from extensions.models import Environment, Extension, Instance, Task
from extensions.signals import configured, wake
from requests_queue import event_loops
from requests_queue.catalog import keys
from requests_queue.db import background_work

logger = logging.getLogger(__name__)

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

PREFIX = "/public/v1/devops/ws/"
TICK = 1.0  # seconds after which a connection looks for tasks without being woken
SETUP = 10.0  # seconds for which a runner may declare itself
SLOTS = 100  # tasks that a connection processes at once
UNAUTHORIZED, RESTART, UNSUPPORTED = 4401, 1012, 1003
_UID = re.compile(r"[!-.0-~]{1,100}")


class Refused(Exception):
    """A runner is refused; the text says why."""


@dataclass(eq=False)
class Connection:
    """A runner's connection.

    `working` are the categories of tasks that its runner works on. `left` are the tasks of an
    earlier connection, by the time (of the loop) at which they are handed back unless their
    results come: how often they were sent.
    """

    instance: Instance
    working: frozenset[str] = frozenset()
    left: dict[float, dict[int, int]] = field(default_factory=dict)
    token: uuid.UUID = field(default_factory=uuid.uuid4)
    # That of the data in which it is stored.
    generation: int = 0
    due: asyncio.Event = field(default_factory=asyncio.Event)
    in_flight: set[int] = field(default_factory=set)
    # Whether more tasks may wait than its last claim took.
    has_more: bool = False
    # Whether its variables have changed since it was told them.
    is_outdated: bool = False
    # Whether its runner ends: it sends the results of its tasks, and gets no more.
    is_stopping: bool = False

    @property
    def wants_more(self) -> bool:
        """Whether it is time for another claim: one of many tasks, which costs as one of few."""
        return self.has_more and len(self.in_flight) <= SLOTS // 2


class Gateway:
    """The connections of this process."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._sql = event_loops.SqlThread()
        self._connections: set[Connection] = set()
        self._generation: int | None = None
        self._is_tls_open = False

    async def open(self) -> None:
        """Begin."""
        self._sweeper = asyncio.create_task(self._sweep())
        wake.connect(self._on_wake)
        configured.connect(self._on_configured)

    async def close(self) -> None:
        """End: what is in flight is handed back by the next gateway, unless its result comes."""
        wake.disconnect(self._on_wake)
        configured.disconnect(self._on_configured)
        self._sweeper.cancel()
        self._sql.end(lambda: None)

    def _on_wake(self, **kwargs: Any) -> None:
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._wake_all)

    def _wake_all(self) -> None:
        for each in self._connections:
            each.due.set()

    def _on_configured(self, environment: str, **kwargs: Any) -> None:
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._mark, environment)

    def _mark(self, environment: str) -> None:
        for each in self._connections:
            if each.instance.environment_id == environment:
                each.is_outdated = True
                each.due.set()

    async def _run(self, function: Callable[..., Any], *args: Any) -> Any:
        return await self._sql.run(self._with_data, function, *args)

    def _with_data(self, function: Callable[..., Any], *args: Any) -> Any:
        """Run a function while no replacement of all data runs, after what one demands."""
        with background_work.running() as generation:
            if self._generation not in (None, generation):
                dispatch.hand_back_all()
            self._generation = generation
            return function(*args)

    async def _sweep(self) -> None:
        """Hand back the tasks of lost runners, each second."""
        while True:
            try:
                await self._sweep_once()
            except DatabaseError as error:
                logger.warning("Tasks of lost runners are not handed back yet: %s", error)
            except Exception:
                logger.exception("Tasks of lost runners are not handed back yet.")
            await asyncio.sleep(TICK)

    async def _sweep_once(self) -> None:
        await self._run(dispatch.hand_back_lost, [each.token for each in self._connections])
        for each in list(self._connections):
            for at in [at for at in each.left if at <= self._loop.time()]:
                await self._run(dispatch.hand_back_runs, each.instance, each.left.pop(at))
        if not self._is_tls_open and await self._run(Extension.objects.exists):
            opener = tls.opener
            self._is_tls_open = opener is not None and bool(await asyncio.to_thread(opener))

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        await receive()
        try:
            connection = await self._run(_authenticate, scope)
        except Refused as error:
            await _refuse(send, str(error))
            return
        await send({"type": "websocket.accept"})
        # Before it is stored: a sweep ends the connections that are not here.
        self._connections.add(connection)
        try:
            setup = await self._read_setup(receive)
            while await self._talk(connection, setup, receive, send):
                # In the new data: without tasks, which have been handed back there.
                connection.instance = (await self._run(_authenticate, scope)).instance
                connection.left, connection.in_flight = {}, set()
        except (BadMessage, TimeoutError) as error:
            await _close(send, UNSUPPORTED, str(error) or "No setup_request came.")
        except (_Left, OSError):
            # The runner has closed the connection, or is gone.
            pass
        except Refused as error:
            await _close(send, RESTART, str(error))
        except Exception:
            logger.exception("The connection of %s has failed.", connection.instance.uid)
            await _close(send, RESTART, "The gateway has failed.")
        finally:
            self._connections.discard(connection)
            # Otherwise the next sweep notes it.
            with suppress(DatabaseError):
                await self._run(dispatch.disconnect, connection.instance, connection.token)

    async def _talk(
        self, connection: Connection, setup: messages.Setup, receive: Receive, send: Send
    ) -> bool:
        """Serve an accepted connection until one side ends it, or all data has been replaced.

        Return whether it goes on in the new data.
        """
        response, left = await self._run(_set_up, connection, setup)
        began = self._loop.time() + settings.SIM_RUNNER_GRACE
        for task, sent, category in left:
            longest = dispatch.LONGEST_RUNS[category] if category in connection.working else 0
            connection.left.setdefault(began + longest, {})[task] = sent
        await _send(send, messages.compose(messages.SETUP_RESPONSE, response))
        both = (
            asyncio.create_task(self._send_tasks(connection, send)),
            asyncio.create_task(self._receive_results(connection, receive)),
        )
        try:
            done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in both:
                each.cancel()
            await asyncio.gather(*both, return_exceptions=True)
        try:
            for each in done:
                each.result()
        except background_work.Replaced:
            return True
        return False

    async def _read_setup(self, receive: Receive) -> messages.Setup:
        async with asyncio.timeout(SETUP):
            kind, data = messages.parse(await _frame(receive))
        if kind != messages.SETUP_REQUEST:
            raise BadMessage("The first message is no setup_request.")
        return messages.read_setup(data)

    async def _send_tasks(self, connection: Connection, send: Send) -> None:
        while True:
            connection.due.clear()
            if connection.is_outdated:
                connection.is_outdated = False
                response = await self._run(actions.configuration, connection.instance)
                await _send(send, messages.compose(messages.SETUP_RESPONSE, response))
            free = 0 if connection.is_stopping else SLOTS - len(connection.in_flight)
            tasks = await self._run(_claim, connection, free)
            connection.has_more = len(tasks) == free
            for task, frame in tasks:
                if task.copies:
                    connection.in_flight.add(task.pk)
                for _ in range(task.copies):
                    await _send(send, frame)
            if not (tasks and connection.wants_more):
                await event_loops.wait(connection.due, TICK)

    async def _receive_results(self, connection: Connection, receive: Receive) -> None:
        while True:
            kind, data = messages.parse(await _frame(receive))
            if kind == messages.SHUTDOWN:
                connection.is_stopping = True
                continue
            if kind != messages.TASK:
                raise BadMessage("A runner sends only results of tasks.")
            result = messages.read_result(data)
            await self._run(_record, connection, [result])
            connection.in_flight.discard(result.task)
            if connection.wants_more:
                connection.due.set()


class _Left(Exception):
    """The runner has closed its connection."""


async def _frame(receive: Receive) -> str | bytes | None:
    message = await receive()
    if message["type"] == "websocket.disconnect":
        raise _Left
    text: str | bytes | None = message.get("text")
    return text if text is not None else message.get("bytes")


async def _send(send: Send, frame: str) -> None:
    await send({"type": "websocket.send", "text": frame})


async def _refuse(send: Send, reason: str) -> None:
    """Refuse the handshake: 403, since ASGI has no other status for it."""
    logger.warning("A runner was refused: %s", reason)
    await _close(send, UNAUTHORIZED, reason)


async def _close(send: Send, code: int, reason: str) -> None:
    with suppress(Exception):
        # At most 123 bytes fit into the frame.
        await send({"type": "websocket.close", "code": code, "reason": reason[:100]})


def _authenticate(scope: Scope) -> Connection:
    """Return a connection of the instance that a handshake names; raises Refused."""
    environment_id, _, uid = scope["path"].removeprefix(PREFIX).partition("/")
    headers = {name.lower(): value for name, value in scope["headers"]}
    scheme, _, key = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    user = keys.owner(key.strip()) if scheme.lower() == "apikey" else None
    if user is None:
        raise Refused("The API key is missing or unknown.")
    rows = Environment.objects.filter(extension__account=user.account_id)
    environment = {each.pk: each for each in rows}.get(environment_id)
    if environment is None:
        raise Refused("The account has no such environment.")
    query = parse_qs(scope["query_string"].decode("latin-1"))
    kind = query.get("runner_type", [BACKGROUND])[0]
    if kind not in (BACKGROUND, INTERACTIVE) or not _UID.fullmatch(uid):
        raise Refused("Only runners of background and interactive events are served.")
    counts = {BACKGROUND: "running_tasks", SCHEDULED: "running_scheduled_tasks"}
    working = {each for each, name in counts.items() if query.get(name, ["0"])[0] != "0"}
    return Connection(actions.instance(environment, uid, kind), frozenset(working))


def _set_up(
    connection: Connection, setup: messages.Setup
) -> tuple[dict[str, Any], list[tuple[int, int, str]]]:
    """Store what a runner declares; return the response, and the tasks of earlier connections."""
    response = actions.set_up(connection.instance, setup)
    # After it: who sees that the runner is connected may rely on what it has declared.
    if not dispatch.connect(connection.instance, connection.token, setup.version):
        raise Refused("The instance is gone.")
    connection.generation = background_work.generation()
    return response, dispatch.runs_of(connection.instance)


def _check(connection: Connection) -> None:
    if dispatch.is_connected(connection.instance, connection.token):
        return
    if connection.generation != background_work.generation():
        raise background_work.Replaced
    raise Refused("Another connection has taken its place.")


def _claim(connection: Connection, limit: int) -> list[tuple[Task, str]]:
    _check(connection)
    if limit <= 0:
        return []
    tasks = dispatch.claim(connection.instance, limit)
    return [(task, messages.compose(messages.TASK, actions.frame(task))) for task in tasks]


def _record(connection: Connection, results: list[Result]) -> None:
    # Also of a connection that another one, or other data, has replaced: results name their claims.
    dispatch.record(connection.instance, results)


_gateway: Gateway | None = None


@asynccontextmanager
async def lifespan() -> AsyncIterator[None]:
    """Have a gateway while the web server runs."""
    global _gateway
    _gateway = Gateway()
    await _gateway.open()
    try:
        yield
    finally:
        await _gateway.close()
        _gateway = None


async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI application of the websocket; a plain request is 426."""
    if scope["type"] == "websocket" and _gateway is not None:
        await _gateway.serve(scope, receive, send)
        return
    headers = [(b"upgrade", b"websocket"), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 426, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
