"""The backend for SQLite: threads write in the order in which they ask."""

from __future__ import annotations

import gc
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from requests_queue.db import turns
from tests.engines import until

pytestmark = [
    pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite's locks"),
    pytest.mark.django_db(transaction=True),
]

Submit = Callable[[Callable[[], Any]], Future[Any]]


@pytest.fixture
def submit() -> Iterator[Submit]:
    """Run functions in threads of their own, whose connections are closed afterwards."""

    def run(function: Callable[[], Any]) -> Any:
        try:
            return function()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        yield lambda function: pool.submit(run, function)


def are_waiting(count: int) -> bool:
    """Return whether so many threads wait for their turn."""
    return len(connection.connection._turns._waiting) == count


def write(then: Callable[[], Any] = lambda: None) -> None:
    with transaction.atomic():
        then()


def shorten(seconds: float) -> None:
    """Let transactions of this thread's connection wait for so many seconds."""
    connection.ensure_connection()
    connection.connection.limit_waits(seconds)


def test_threads_write_in_the_order_in_which_they_ask(submit: Submit) -> None:
    order: list[str] = []
    with transaction.atomic():
        others = []
        for count, name in enumerate("abc", 1):
            others.append(submit(partial(write, partial(order.append, name))))
            until(partial(are_waiting, count), f"{name} waits")
        order.append("first")
    # Without turns, this thread would come before those that wait.
    write(lambda: order.append("again"))
    for future in others:
        future.result(10)
    assert order == ["first", "a", "b", "c", "again"]


def test_thread_of_the_engine_comes_first(submit: Submit) -> None:
    order: list[str] = []

    def write_first() -> None:
        turns.come_first()
        write(partial(order.append, "engine"))

    with transaction.atomic():
        futures = [submit(partial(write, partial(order.append, "other")))]
        until(partial(are_waiting, 1), "the other one waits")
        futures.append(submit(write_first))
        until(partial(are_waiting, 2), "both wait")
    for future in futures:
        future.result(10)
    assert order == ["engine", "other"]


def test_thread_waits_for_its_turn_as_long_as_for_the_lock(submit: Submit) -> None:
    def begin() -> None:
        shorten(0.01)
        with pytest.raises(OperationalError, match="database is locked"):
            write()

    with transaction.atomic():
        submit(begin).result(10)
        assert are_waiting(0)
    submit(write).result(10)


def test_turn_ends_with_a_failed_begin_and_with_the_connection(submit: Submit) -> None:
    def fail() -> None:
        shorten(0)
        with pytest.raises(OperationalError, match="locked"):
            write()

    def leave() -> None:
        with transaction.atomic():
            connection.close()

    parameters = connection.get_connection_params()
    name = parameters["database"]
    with closing(sqlite3.connect(name, uri=True, isolation_level=None)) as elsewhere:
        elsewhere.execute("BEGIN IMMEDIATE")
        submit(fail).result(10)
    submit(leave).result(10)
    submit(write).result(10)


def test_rollback_ends_the_turn(submit: Submit) -> None:
    with pytest.raises(ZeroDivisionError):
        write(lambda: 1 / 0)
    submit(write).result(10)


def test_cursor_of_a_failed_begin_is_closed() -> None:
    shorten(0)
    name = connection.get_connection_params()["database"]
    with closing(sqlite3.connect(name, uri=True, isolation_level=None)) as elsewhere:
        elsewhere.execute("BEGIN IMMEDIATE")
        with pytest.raises(OperationalError, match="locked"):
            write()
        cursors = [
            each
            for each in gc.get_objects()
            # Not `isinstance`, which evaluates lazy objects of other tests.
            if issubclass(type(each), sqlite3.Cursor) and each.connection is connection.connection
        ]
        for cursor in cursors:
            with pytest.raises(sqlite3.ProgrammingError, match="closed cursor"):
                cursor.fetchone()
        assert cursors
    connection.close()
