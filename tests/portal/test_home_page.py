"""The first page: what runs, what happened and what is broken, for one account."""

from __future__ import annotations

import html
import re
import socket
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from portal.home import first_steps, last_hour, system_status
from requests_queue import clock, heartbeats
from requests_queue.database_time import DatabaseTime
from requests_queue.heartbeats import EXPIRES_AFTER, SCHEDULER, WORKER
from requests_queue.models import Heartbeat
from tests import make
from tests.processes import free_port
from tests.signed_in import signed_in, world  # noqa: F401  (fixture)
from webhooks.models import Attempt, Delivery, Webhook
from webhooks.webhook_health import MinuteCounts

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens on this machine, whatever else runs on it."""
    monkeypatch.setattr(first_steps, "READY_HANDLERS", [])


@pytest.fixture
def vendor(world: make.World) -> Client:
    return signed_in(world.vendor_user)


def text(client: Client, path: str = "/", **headers: str) -> str:
    """Return the words of a page, each space one."""
    answer = client.get(path, headers=headers)
    assert answer.status_code == 200
    words = re.sub(r"<[^>]+>", " ", answer.content.decode())
    return " ".join(html.unescape(words).split())


def sign(kind: str, age: float, since: float = 100) -> None:
    now = DatabaseTime()
    Heartbeat.objects.create(process=f"{kind} {age}", kind=kind, at=now - age, since=now - since)


def light(name: str) -> system_status.Component:
    return next(light for light in system_status.components() if light.name == name)


def attempt(row: Webhook, outcome: str, **more: Any) -> Attempt:
    now = clock.now()
    delivery = Delivery.objects.create(webhook=row, state="waiting", created_at=now)
    return Attempt.objects.create(
        webhook=row, delivery=delivery, number=1, outcome=outcome, started_at=now,
        finished_at=now, duration=5, method="POST", url=row.external_url, **more,
    )  # fmt: skip


# -- what runs


def test_all_runs(vendor: Client) -> None:
    sign(WORKER, 1)
    sign(SCHEDULER, 3)
    assert {light.state for light in system_status.components()} == {"good"}
    said = text(vendor)
    assert "It calls handlers; last sign 1 s ago." in said
    assert "Not running" not in said


def test_worker_with_problem_is_shown_as_failing(vendor: Client) -> None:
    sign(WORKER, 1)
    sign(WORKER, 2)
    sign(SCHEDULER, 3)
    Heartbeat.objects.filter(process=f"{WORKER} 2").update(
        problem="The delivery engine's loop (RuntimeError)"
    )
    worker = light("Worker")
    assert (worker.state, worker.word) == ("bad", "Failing")
    said = text(vendor)
    assert "1 of 2 processes cannot work properly: The delivery engine's loop (RuntimeError)." in (
        said.replace("&#x27;", "'")
    )
    # One that is gone is no problem of today.
    Heartbeat.objects.filter(process=f"{WORKER} 2").update(at=DatabaseTime() - EXPIRES_AFTER - 1)
    assert light("Worker").state == "good"


def test_nothing_was_ever_heard_of(vendor: Client) -> None:
    worker, scheduler = light("Worker"), light("Scheduler")
    assert (worker.state, scheduler.state) == ("bad", "unknown")
    assert worker.says.startswith("Never heard of. No handler is called until one runs")
    assert scheduler.says == "Its tasks can't be seen to run before a worker runs."


def test_a_worker_fell_silent_and_so_nothing_is_known_of_the_scheduler() -> None:
    sign(WORKER, EXPIRES_AFTER + 100)
    sign(SCHEDULER, EXPIRES_AFTER + 100)
    assert light("Worker").says.startswith("Not heard of for 2 min.")
    assert light("Scheduler").state == "unknown"


def test_a_scheduler_is_given_the_time_to_start() -> None:
    sign(WORKER, 1, since=EXPIRES_AFTER - 5)
    assert light("Scheduler").state == "unknown"
    Heartbeat.objects.update(since=DatabaseTime() - EXPIRES_AFTER - 5)
    assert light("Scheduler").state == "bad"
    assert "Deliveries go on" in light("Scheduler").says


def test_remedies_fit_the_set_up(settings: Any) -> None:
    assert "Restart the sandbox" in light("Worker").says
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{free_port()}/0"
    assert "celery -A connect_sim worker" in light("Worker").says


def test_a_broker_that_does_not_answer_is_told_of(settings: Any) -> None:
    sign(WORKER, 1)
    sign(SCHEDULER, EXPIRES_AFTER + 1)
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{free_port()}/0"
    assert light("Broker").state == "bad"
    assert "none is lost" in light("Broker").says
    assert light("Scheduler").says.endswith("before the broker answers.")


def test_several_workers_are_counted() -> None:
    for age in (1, 2, 3):
        sign(WORKER, age)
    assert light("Worker").says.startswith("3 processes call handlers; last sign 1 s ago")


def test_a_broker_that_hangs_is_waited_for_half_a_second(settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        assert light("Broker").state == "bad"


# -- what happened


def test_the_hour_is_told_in_words_and_figures(vendor: Client, world: make.World) -> None:
    row = make.webhook(world)
    for outcome in ("success", "success", "failure"):
        attempt(row, outcome)
    said = text(vendor)
    assert "Calls 3 Succeeded 2 Failed 1" in said
    assert "2 succeeded, 1 failed" in said
    assert "Unknown" not in said


def test_an_hour_without_calls_says_so(vendor: Client, world: make.World) -> None:
    attempt(make.webhook(world, account=world.provider), "success")
    said = text(vendor)
    assert "No calls in this hour" in said


def test_bars_fill_the_chart_and_never_leave_it() -> None:
    now = clock.now()
    chart = last_hour.draw([
        MinuteCounts(now, 1, 0, 0), MinuteCounts(now), MinuteCounts(now, 990, 9, 1),
        MinuteCounts(now, 0, 0, 1),
    ])  # fmt: skip
    assert chart.top == 1000
    assert (chart.success, chart.failure, chart.unknown, chart.total) == (991, 9, 2, 1002)
    assert [bar.says for bar in chart.bars] == [
        "1 succeeded", "990 succeeded, 9 failed, 1 with an unknown outcome",
        "1 with an unknown outcome",
    ]  # fmt: skip
    for bar in chart.bars:
        for piece in bar.pieces:
            assert piece.y >= 0 and piece.height > 0.5
    assert [last_hour.draw([MinuteCounts(now, n)]).top for n in (0, 4, 5, 11, 99, 100, 101)] == [
        4, 4, 5, 20, 100, 100, 200,
    ]  # fmt: skip


# -- what is broken


def test_what_is_broken_says_why_and_what_to_do(vendor: Client, world: make.World) -> None:
    lost = make.webhook(world, n=1, out_of_order=True, failure_since_last_success=10)
    lost.last_failure = attempt(lost, "failure", error="The handler answered 500.")
    lost.save()
    gate = clock.now() + timedelta(minutes=5)
    make.webhook(world, n=2, round=1, earliest_possible_trigger=gate, failure_since_last_success=1)
    said = text(vendor)
    assert "What is broken now Out of order Hook 1 WH-000-000-001" in said
    assert "The handler answered 500." in said
    assert "10 failures since the last success. Paused: the webhook is out of order." in said
    assert "1 pending delivery." in said
    assert "Backing off Hook 2" in said and "Failed (1 of 10). Next attempt in " in said
    page = vendor.get("/").content.decode()
    assert f'action="/webhooks/{lost.pk}/do/recover/"' in page
    assert page.count("/do/recover/") == 1
    assert page.count("/do/trigger/") == 2
    assert f'href="/webhooks/{lost.pk}/statistics/"' in page


def test_what_is_well_is_said_too(vendor: Client, world: make.World) -> None:
    make.webhook(world)
    assert "Nothing is broken" in text(vendor)


def test_another_accounts_trouble_is_not_shown(vendor: Client, world: make.World) -> None:
    theirs = make.webhook(world, account=world.provider, out_of_order=True, label="Theirs")
    attempt(theirs, "failure")
    for path in ("/", "/home/live/", "/password/"):
        page = vendor.get(path).content.decode()
        assert "Theirs" not in page and theirs.pk not in page
    assert "Theirs" in signed_in(world.provider_user).get("/").content.decode()


def test_every_page_names_what_is_out_of_order(vendor: Client, world: make.World) -> None:
    assert "out of order" not in text(vendor, "/password/")
    for n in range(1, 5):
        make.webhook(world, n=n, out_of_order=True, failure_since_last_success=n)
    said = text(vendor, "/password/")
    assert "Hook 1 WH-000-000-001 is out of order after 1 failure and is not called." in said
    assert "Hook 2" in said and "Hook 3" not in said
    assert "More webhooks are out of order." in said
    page = vendor.get("/products/?q=x").content.decode()
    assert 'action="/webhooks/WH-000-000-001/do/recover/"' in page
    assert 'name="next" value="/products/?q=x"' in page


# -- the first steps


def test_a_newcomer_is_shown_the_way(vendor: Client, world: make.World) -> None:
    said = text(vendor)
    assert "From here to your first delivery" in said
    assert world.connection.pk in said and world.item.pk in said
    assert "KEY-OF-THE-DISTRIBUTOR" in said
    assert "Done:" not in said


def test_steps_are_ticked_as_they_are_made(vendor: Client, world: make.World) -> None:
    def ticked() -> str:
        answer = vendor.get("/home/live/?steps=1", headers={"HX-Request": "true"})
        marks = re.findall(
            r'class="step-number( is-done)?" id="step-(\w+)"', answer.content.decode()
        )
        assert [name for _, name in marks] == ["handler", "webhook", "request"]
        return " ".join(name for done, name in marks if done)

    assert ticked() == ""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        first_steps.READY_HANDLERS.append(first_steps.ReadyHandler("manage.py listen", url))
        assert ticked() == "handler"
        assert "manage.py listen" in text(vendor) and url in text(vendor)
    assert ticked() == ""
    row = make.webhook(world)
    assert ticked() == "webhook"
    assert "From here to your first delivery" in text(vendor)
    Webhook.objects.update(events=1)
    assert ticked() == "webhook request"
    row.last_failure = attempt(row, "failure", status_code=500)
    row.save(update_fields=["last_failure"])
    assert ticked() == "handler webhook request"
    assert "From here to your first delivery" not in text(vendor)


def test_the_piece_that_changes_ticks_nothing_that_is_not_there(vendor: Client) -> None:
    answer = vendor.get("/home/live/", headers={"HX-Request": "true"})
    assert b"step-handler" not in answer.content
    assert b"<html" not in answer.content


# -- who, and at what cost


@pytest.mark.parametrize("path", ["/", "/home/live/"])
def test_strangers_sign_in_first(path: str, world: make.World) -> None:
    answer = Client().get(path)
    assert (answer.status_code, answer.headers["Location"][:9]) == (303, "/sign-in/")
    assert signed_in(world.vendor_user).post(path).status_code == 405


def test_more_of_everything_takes_no_more_statements(vendor: Client, world: make.World) -> None:
    def statements(path: str) -> int:
        with CaptureQueriesContext(connection) as found:
            assert vendor.get(path).status_code == 200
        return len(found)

    def more(numbers: range) -> None:
        for n in numbers:
            row = make.webhook(world, n=n, out_of_order=True, events=1)
            row.last_failure = attempt(row, "failure")
            row.save()

    more(range(1, 2))
    heartbeats.record(WORKER)
    few = [statements(path) for path in ("/", "/home/live/", "/password/")]
    more(range(2, 9))
    assert [statements(path) for path in ("/", "/home/live/", "/password/")] == few
    # Session and user, their account, time, signs, failed jobs, hour, trouble and what waits, and
    # progress.
    assert few[1] <= 11
