"""Run functions in threads with their own database connections, and coroutines in a loop."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from django.db import connections

from requests_queue.errors import Refused


class Background:
    """A function in a thread with its own connection; `result` waits for it."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self.ended = threading.Event()
        self._result: Any = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = self._work()
        except Exception as error:
            self._error = error
        finally:
            self.ended.set()
            connections.close_all()

    def result(self) -> Any:
        self._thread.join(30)
        assert self.ended.is_set(), "the other thread hangs"
        if self._error:
            raise self._error
        return self._result


def concurrently(*works: Callable[[], Any]) -> list[Any]:
    """Run functions at the same time; return what each returned, or the Refused it raised."""
    gate = threading.Barrier(len(works))

    def started(work: Callable[[], Any]) -> Any:
        gate.wait(10)
        try:
            return work()
        except Refused as refused:
            return refused

    runs = [Background(lambda work=work: started(work)) for work in works]
    return [one.result() for one in runs]


def threads() -> set[str]:
    """Return the names of the threads that run."""
    return {thread.name for thread in threading.enumerate()}


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Let a test be a coroutine."""

    @functools.wraps(test)
    def run(*args: Any, **fixtures: Any) -> None:
        asyncio.run(test(*args, **fixtures))

    return run
