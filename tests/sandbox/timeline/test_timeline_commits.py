"""The timeline while several transactions write: PostgreSQL only, since SQLite has one writer."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction

from sandbox.timeline import timeline
from tests.background import Background
from tests.sandbox.timeline.test_timeline import follow, write

pytestmark = pytest.mark.django_db(transaction=True)


def test_late_commit_is_neither_skipped_nor_out_of_order() -> None:
    start = timeline.now()
    written, may_commit = threading.Event(), threading.Event()

    def late() -> None:
        with transaction.atomic():
            write("late")
            written.set()
            may_commit.wait(10)

    writing = Background(late)
    assert written.wait(10)
    write("early")
    # It has a later place, though it is committed already.
    assert follow(start) == ([], start)
    assert timeline.is_withheld()
    may_commit.set()
    writing.result()
    assert follow(start)[0] == ["late", "early"]
    assert not timeline.is_withheld()


def test_rolled_back_transaction_withholds_nothing() -> None:
    start = timeline.now()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        write("lost")
        raise ZeroDivisionError
    write("kept")
    assert follow(start)[0] == ["kept"]


def test_transaction_of_another_database_withholds_nothing() -> None:
    start = timeline.now()
    server: Any = {
        name: connection.settings_dict[name.upper()]
        for name in ("host", "port", "user", "password")
    }
    with psycopg.connect(**server, dbname="postgres") as other:
        other.execute("SELECT pg_current_xact_id()")
        write("readable")
        assert follow(start)[0] == ["readable"]
        assert not timeline.is_withheld()


def test_entries_of_the_own_transaction_are_not_readable_yet() -> None:
    start = timeline.now()
    with transaction.atomic():
        write("own")
        assert timeline.now() == start
    assert follow(start)[0] == ["own"]
