"""The one thread, with the one connection, in which all SQL of an engine runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from django.db import Error as DatabaseError
from django.db import connection

T = TypeVar("T")


class SqlThread:
    """Runs what an engine asks of the database, one thing after another."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="delivery-sql")

    async def run(self, work: Callable[..., T], *args: Any) -> T:
        """Run `work` and return what it returns."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, _with_connection, work, *args)

    def submit(self, work: Callable[..., T], *args: Any) -> Future[T]:
        """Run `work` for a thread without a loop."""
        return self._pool.submit(_with_connection, work, *args)

    def end(self, last: Callable[[], Any]) -> None:
        """Run what is `last`, if the database is there, and close the connection."""
        with suppress(Exception):
            self.submit(last).result()
        with suppress(Exception):
            self._pool.submit(lambda: connection.close()).result()
        self._pool.shutdown()


def _with_connection(work: Callable[..., T], *args: Any) -> T:
    connection.close_if_unusable_or_obsolete()
    try:
        return work(*args)
    except DatabaseError:
        connection.close()
        raise
