"""A deleted webhook is hidden immediately; its rows are removed in steps."""

from __future__ import annotations

import itertools
import time
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client
from rest_framework.test import APIClient

from portal.deliveries import queries
from portal.home import last_hour
from portal.queues import history
from requests_queue import clock
from requests_queue.catalog.models import ApiToken
from requests_queue.errors import Missing
from requests_queue.queues.fulfillment import creation
from requests_queue.queues.fulfillment.models import Request
from tests import make, pruned
from tests.background import Background
from tests.old_deliveries import fill
from tests.webhooks.claimed import finish
from webhooks import actions, cleanup
from webhooks.delivery import claim, fan_out, resend
from webhooks.models import Attempt, Delivery, Event, Resend, Webhook

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("sound_counters"),
]
ROWS = (Event, Attempt, Delivery)


class Crash(BaseException):
    """The process is killed."""


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleanup, "STEP", 10)
    pruned.small_steps(monkeypatch, 10)


@pytest.fixture
def used_hook(catalog: make.Catalog, hook: Webhook) -> Webhook:
    """Return a webhook with nine finished deliveries, a resend and three pending deliveries."""
    for n in range(12):
        make.order(catalog)
        if n < 9:
            finish()
    Attempt.objects.update(claims={"webhook_id": hook.pk, "processing_timeout": 600})
    resend.create_resend(Attempt.objects.earliest("pk"))
    return hook


def remaining_rows() -> list[int]:
    return [model._default_manager.count() for model in ROWS]


def remove_all() -> list[list[int]]:
    """Remove the rows of deleted webhooks; return the counts after each step."""
    after: list[list[int]] = []
    cleanup.remove_deleted(pause=lambda seconds: after.append(remaining_rows()))
    return after


def test_deleted_webhook_is_hidden_while_it_has_rows(
    catalog: make.Catalog, used_hook: Webhook
) -> None:
    actions.delete(used_hook.pk)
    assert sum(remaining_rows()) > 10
    client = APIClient()
    client.force_authenticate(catalog.vendor_user, ApiToken())
    path = f"/public/v1/notifications/webhooks/{used_hook.pk}"
    assert client.get("/public/v1/notifications/webhooks").json() == []
    for method, url in (
        ("get", path),
        ("put", path),
        ("delete", path),
        ("post", f"{path}/trigger"),
    ):
        assert getattr(client, method)(url, {}, format="json").status_code == 404
    assert not Webhook.objects.exists()
    assert not queries.visible(catalog.vendor).exists()
    row = Request.objects.earliest("created")
    assert [entry for entry in history.of(row, catalog.vendor) if entry.deliveries] == []
    assert sum(m.total for m in last_hour.last_hour(catalog.vendor, clock.now())) == 0
    assert claim.claim(10).claims == []


def test_admin_and_portal_hide_rows_of_deleted_webhook(
    catalog: make.Catalog, used_hook: Webhook
) -> None:
    catalog.vendor_user.is_superuser = catalog.vendor_user.is_staff = True
    catalog.vendor_user.save()
    client = Client()
    client.force_login(catalog.vendor_user)
    rows = [Delivery.objects.latest("pk").pk, Attempt.objects.latest("pk").pk]
    body = {"action": "delete_selected", "_selected_action": [used_hook.pk], "post": "yes"}
    client.post("/admin/webhooks/webhook/", body)
    assert sum(remaining_rows()) > 10
    for page in ("webhook", "delivery", "attempt", "event"):
        response = client.get(f"/admin/webhooks/{page}/")
        assert used_hook.pk.encode() not in response.content and b"0 " in response.content
    for page, pk in zip(("delivery", "attempt"), rows, strict=True):
        assert client.get(f"/admin/webhooks/{page}/{pk}/change/").status_code == 302
    assert client.get(f"/webhooks/{used_hook.pk}/").status_code == 404
    assert client.get(f"/deliveries/{rows[0]}/").status_code == 404
    assert used_hook.pk.encode() not in client.get("/deliveries/").content


def test_rows_are_removed_in_steps_and_the_webhook_last(used_hook: Webhook) -> None:
    total = sum(remaining_rows())
    actions.delete(used_hook.pk)
    sums = [total, sum(remaining_rows()), *map(sum, remove_all())]
    assert all(0 <= before - after <= 10 for before, after in itertools.pairwise(sums))
    assert len(sums) > 4 and sums[-1] == 0
    assert not Webhook.with_deleted.exists() and not Resend.objects.exists()


def test_small_webhook_is_removed_by_the_deletion_itself(
    used_hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleanup, "STEP", 1000)
    actions.delete(used_hook.pk)
    assert remaining_rows() == [0, 0, 0] and not Webhook.with_deleted.exists()


def test_removal_continues_after_crash_and_webhook_stays_deleted(
    catalog: make.Catalog, used_hook: Webhook
) -> None:
    actions.delete(used_hook.pk)

    def crash(seconds: float) -> None:
        raise Crash

    with pytest.raises(Crash):
        cleanup.remove_deleted(pause=crash)
    assert sum(remaining_rows()) > 0
    with pytest.raises(Missing):
        actions.edit(used_hook.pk, catalog.vendor_user, {"active": True})
    with pytest.raises(Missing):
        fan_out.trigger(used_hook)
    with pytest.raises(Missing):
        resend.create_resend(Attempt.objects.latest("pk"))
    assert not actions.recover(used_hook.pk)
    # An interrupted run doesn't block the next one, and deleting twice is harmless.
    actions.delete(used_hook.pk)
    remove_all()
    assert remaining_rows() == [0, 0, 0] and not Webhook.with_deleted.exists()


def test_one_run_at_a_time_removes_rows(used_hook: Webhook) -> None:
    actions.delete(used_hook.pk)
    before = []

    def meanwhile(seconds: float) -> None:
        before.append(remaining_rows())
        Background(cleanup.remove_deleted).result()
        assert remaining_rows() == before[-1]

    cleanup.remove_deleted(pause=meanwhile)
    assert before and remaining_rows() == [0, 0, 0]


def test_other_transactions_run_between_steps(catalog: make.Catalog, used_hook: Webhook) -> None:
    actions.delete(used_hook.pk)
    other = make.webhook(catalog, n=2)
    claimed = []

    def meanwhile(seconds: float) -> None:
        # In a thread with its own connection: neither rows nor SQLite's write lock are held.
        Background(lambda: make.order(catalog)).result()
        claimed.extend(Background(lambda: claim.claim(10).claims).result())

    cleanup.remove_deleted(pause=meanwhile)
    assert len(claimed) == Event.objects.count() >= 3
    assert {c.webhook.id for c in claimed} == {other.pk}
    assert set(Delivery.objects.values_list("webhook", flat=True)) == {other.pk}
    assert not Webhook.with_deleted.exclude(pk=other.pk).exists()


def test_webhook_whose_removal_fails_does_not_keep_others(
    catalog: make.Catalog,
    used_hook: Webhook,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    failing, other = used_hook, make.webhook(catalog, n=2)
    make.order(catalog)
    Webhook.objects.update(deleted_at=make.AT)
    remove = cleanup._remove

    def fail(webhook_id: str, rows: int) -> int:
        if webhook_id == failing.pk:
            raise DatabaseError("lock timeout")
        return remove(webhook_id, rows)

    with monkeypatch.context() as patch:
        patch.setattr(cleanup, "_remove", fail)
        remove_all()
    assert [row.pk for row in Webhook.with_deleted.all()] == [failing.pk] != [other.pk]
    assert failing.pk in caplog.text
    remove_all()
    assert remaining_rows() == [0, 0, 0] and not Webhook.with_deleted.exists()


def test_locked_rows_are_left_for_the_next_run(used_hook: Webhook) -> None:
    if connection.vendor != "postgresql":
        return
    actions.delete(used_hook.pk)
    with transaction.atomic():
        held = Delivery.objects.select_for_update().latest("pk")
        began = time.monotonic()
        Background(remove_all).result()
        assert time.monotonic() - began < 2
        assert Delivery.objects.get() == held
    remove_all()
    assert remaining_rows() == [0, 0, 0] and not Webhook.with_deleted.exists()


def test_change_is_made_if_its_webhooks_are_deleted_meanwhile(
    catalog: make.Catalog,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    webhook = make.webhook(catalog)
    insert = fan_out.insert_deliveries

    def insert_after_deletion(*args: Any, **kwargs: Any) -> Any:
        Webhook.objects.filter(pk=webhook.pk).update(deleted_at=clock.now())
        return insert(*args, **kwargs)

    monkeypatch.setattr(fan_out, "insert_deliveries", insert_after_deletion)
    row = creation.create(make.purchase(catalog), catalog.as_distributor)
    assert Request.objects.filter(pk=row.pk).exists()
    assert not Delivery.objects.exists() and not Event.objects.exists()


def test_deletion_of_many_webhooks_marks_them_immediately(
    catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleanup, "AT_ONCE", 1)
    hooks = [make.webhook(catalog, n=n) for n in range(1, 6)]
    make.order(catalog)
    actions.delete(*[hook.pk for hook in hooks])
    assert not Webhook.objects.exists()
    assert Webhook.with_deleted.count() == 4
    remove_all()
    assert remaining_rows() == [0, 0, 0] and not Webhook.with_deleted.exists()


@pytest.mark.nightly(reason="stores 100,000 deliveries")
def test_removal_of_100000_deliveries_does_not_block(
    catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleanup, "STEP", 1000)
    pruned.small_steps(monkeypatch, 1000)
    hook = make.webhook(catalog)
    fill([hook], 100_000, body=500)
    make.webhook(catalog, n=2)
    client = APIClient()
    client.force_authenticate(catalog.vendor_user, ApiToken())
    # The inserted rows are written to the file now, not during the measurement.
    connection.close()
    began = time.monotonic()
    assert client.delete(f"/public/v1/notifications/webhooks/{hook.pk}").status_code == 204
    deleted = time.monotonic() - began
    start = time.monotonic()
    removing = Background(lambda: cleanup.remove_deleted(seconds=600))
    took = []
    while not removing.ended.is_set():
        began = time.monotonic()
        make.order(catalog)
        claim.claim(10)
        took.append(time.monotonic() - began)
        removing.ended.wait(0.05)
    p50 = sorted(took)[len(took) // 2]
    print(
        f"deleted in {deleted:.3f} s; {len(took)} orders, p50 {p50:.3f} s, at most "
        f"{max(took):.3f} s; removed in {time.monotonic() - start:.1f} s"
    )
    assert not Webhook.with_deleted.filter(pk=hook.pk).exists()
    assert deleted < 1 and max(took) < 2
