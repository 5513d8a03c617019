"""Platform time: real time with the offset of the database, or the moment at which it is frozen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from requests_queue import clock
from requests_queue.models import Clock

pytestmark = pytest.mark.django_db

S = timedelta(seconds=1)


def test_time_is_real_without_a_row() -> None:
    assert clock.state() == (timedelta(), None, None)
    before = datetime.now(UTC)
    assert before <= clock.now() <= datetime.now(UTC)


@pytest.mark.parametrize(
    "offset", [timedelta(0), 0.25 * S, timedelta(days=400, microseconds=1), timedelta(days=-3)]
)
def test_offset_is_added_to_real_time(offset: timedelta) -> None:
    Clock.objects.create(pk=1, offset=offset)
    assert clock.state() == (offset, None, None)
    before = datetime.now(UTC)
    assert before <= clock.now() - offset <= datetime.now(UTC)


@pytest.mark.parametrize("microsecond", [0, 1, 250_000])
def test_frozen_time_is_exact_and_in_utc(microsecond: int) -> None:
    frozen = datetime(2031, 2, 3, 4, 5, 6, microsecond, tzinfo=UTC)
    Clock.objects.create(pk=1, offset=timedelta(days=1), frozen_at=frozen)
    assert clock.now() == frozen == Clock.objects.get().frozen_at
    assert clock.now().utcoffset() == timedelta()


def test_each_reading_is_one_statement() -> None:
    Clock.objects.create(pk=1)
    with CaptureQueriesContext(connection) as statements:
        clock.now()
        Clock.objects.update(offset=timedelta(hours=1))
        assert clock.now() - datetime.now(UTC) > timedelta(minutes=59)
    assert len(statements) == 3


def test_block_reads_it_once() -> None:
    Clock.objects.create(pk=1)
    with CaptureQueriesContext(connection) as statements, clock.reading_once():
        first = clock.now()
        Clock.objects.update(offset=timedelta(hours=1), generation=1)
        assert clock.read() == (first, 0)
    assert len(statements) == 2
    assert clock.now() - first > timedelta(minutes=59)


def test_generation_is_read_with_the_time(settings: Any) -> None:
    assert clock.read().generation == 0
    Clock.objects.create(pk=1, offset=timedelta(days=1), generation=2**40)
    with CaptureQueriesContext(connection) as statements:
        reading = clock.read()
    assert reading.generation == 2**40
    assert timedelta() <= clock.now() - reading.now < 5 * S
    assert len(statements) == 1
    settings.SANDBOX = False
    assert clock.read().generation == 0


def test_server_profile_has_real_time(settings: Any) -> None:
    Clock.objects.create(pk=1, offset=timedelta(days=1))
    settings.SANDBOX = False
    with CaptureQueriesContext(connection) as statements:
        assert abs(clock.now() - datetime.now(UTC)) < 5 * S
    assert not statements
