"""When API keys were last used: kept in memory, and stored each minute by the web server.

A request doesn't store it, because it would wait for the writer of SQLite's file, or for a
transaction that has locked the row of the key.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from django.db import connection, transaction
from django.db.models import Q

from requests_queue.catalog.models import ApiToken
from requests_queue.db import database_errors

logger = logging.getLogger(__name__)

PERIOD = 60.0  # seconds

_guard = threading.Lock()
# By the ids of the rows.
_uses: dict[int, datetime] = {}


def note(pk: int, at: datetime) -> None:
    """Note that a key was used."""
    with _guard:
        _uses[pk] = at


def store() -> None:
    """Store what has been noted; after an error it is kept for the next time, which is logged."""
    with _guard:
        uses = dict(_uses)
        _uses.clear()
    if not uses:
        return
    try:
        with transaction.atomic():
            for pk, at in sorted(uses.items()):
                outdated = Q(last_used=None) | Q(last_used__lt=at)
                ApiToken.objects.filter(outdated, pk=pk).update(last_used=at)
    except Exception as error:
        with _guard:
            _uses.update(uses | _uses)
        logger.warning(
            "The last use of API keys is not stored yet. %s",
            database_errors.summary(error),
            exc_info=not database_errors.unavailable(error),
        )


@asynccontextmanager
async def lifespan() -> AsyncIterator[None]:
    """Store each minute while the web server runs, and at its end."""
    stopping = threading.Event()
    thread = threading.Thread(target=_store_forever, args=[stopping], name="key-uses", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(5)


def _store_forever(stopping: threading.Event) -> None:
    is_last = False
    while not is_last:
        is_last = stopping.wait(PERIOD)
        store()
        # PostgreSQL limits connections, and this one is idle for a minute.
        connection.close()
