"""The one thread, with the one connection, in which all SQL of an engine runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from django.db import Error as DatabaseError
from django.db import connection

logger = logging.getLogger(__name__)
T = TypeVar("T")


class SqlThread:
    """Runs what the engine's loop asks of the database, one thing after another."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="delivery-sql")

    async def run(self, work: Callable[..., T], *args: Any) -> T | None:
        """Run `work`; return None where it failed and is to be tried again."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._pool, _with_connection, work, *args)
        except DatabaseError as error:
            logger.warning("The database is away (%s); trying again.", type(error).__name__)
        except Exception:
            # The window must go on turning for the other deliveries.
            logger.exception("A look at the table failed in an unexpected way; trying again.")
        return None

    def end(self, last: Callable[[], Any]) -> None:
        """Run what is `last`, if the database is there, and let go of the connection."""
        with suppress(DatabaseError):
            self._pool.submit(_with_connection, last).result()
        self._pool.submit(lambda: connection.close()).result()
        self._pool.shutdown()


def _with_connection(work: Callable[..., T], *args: Any) -> T:
    connection.close_if_unusable_or_obsolete()
    try:
        return work(*args)
    except DatabaseError:
        connection.close()
        raise
