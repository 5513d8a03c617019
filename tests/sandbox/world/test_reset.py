"""A reset goes back to the demo data; a restore to a snapshot; a failure changes nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import connection, models, transaction
from django.test.utils import isolate_apps

from requests_queue import clock, ids
from requests_queue.catalog.models import Account, ApiToken, Asset, TierAccount, User
from requests_queue.errors import Missing
from requests_queue.models import Clock, FailedJob, SignInTries
from requests_queue.queues.fulfillment.models import Request
from sandbox.clock import settling
from sandbox.models import ApiCall, Hold, TimelineEntry, UsedId
from sandbox.timeline import api_calls, timeline
from sandbox.timeline.call_storage import RecordedCall
from sandbox.world import snapshot_storage, snapshots, tables
from tests import api
from tests.api import Caller
from tests.background import Background
from tests.processes import ROOT, environment
from tests.sandbox import recorded as recorded_calls
from tests.sandbox import worlds
from tests.sandbox.timeline.test_timeline import database_url
from tests.sandbox.worlds import Rows, approve, ok, purchase, reset, webhook
from webhooks.models import Delivery, Webhook

pytestmark = pytest.mark.django_db(transaction=True)

PRODUCT = "PRD-814-505-018"
REAL_TIME = [(timedelta(), None, 0.0)]  # the clock's row


def test_every_model_is_of_the_world_or_kept() -> None:
    labels = [m._meta.label for m in (*tables.world_models(), *tables.kept_models())]
    assert len(labels) == len(set(labels))
    assert {"webhooks.Delivery", "catalog.User", "portal.InquiryCheck"} <= set(labels)


# Without apps: theirs would be set up once more, with all their registrations.
@isolate_apps()
def test_unclassified_model_is_an_error() -> None:
    class Strange(models.Model):  # noqa: DJ008
        class Meta:
            app_label = "sandbox"

    with pytest.raises(tables.Unclassified):
        tables._group(Strange)


def test_reset_survives_a_receiver_that_fails(saved: Rows, vendor: Caller) -> None:
    def fail(**kwargs: Any) -> None:
        raise ValueError

    tables.world_replacing.connect(fail)
    try:
        reset(vendor, patience=0)
    finally:
        tables.world_replacing.disconnect(fail)
    entry = TimelineEntry.objects.order_by("-pk")[0]
    assert entry.kind == timeline.RESET and "products" in entry.data


def test_reset_restores_every_table(saved: Rows, vendor: Caller, distributor: Caller) -> None:
    hook = webhook(vendor, "http://127.0.0.1:9/")
    request = purchase(distributor)
    approve(vendor, request)
    purchase(distributor)
    ok(vendor.post(f"/notifications/webhooks/{hook['id']}/trigger", {}))
    ok(vendor.put(f"/products/{PRODUCT}", {"name": "Renamed"}))
    first = Account.objects.order_by("pk")[0]
    Account.objects.filter(pk=first.pk).update(name="Renamed")
    TierAccount.objects.filter(pk=request["asset"]["tiers"]["customer"]["id"]).update(name="X")
    ok(vendor.post("/sandbox/clock/advance", {"by": "40d", "patience": 0, "settle": 0}))
    assert worlds.differing(saved, worlds.contents())
    cursor = timeline.now()
    response = reset(vendor, patience=0)
    assert not worlds.differing(saved, worlds.contents())
    assert response["took_ms"] >= 0 and response["cursor"] == str(timeline.last_reset())
    [entry] = timeline.between(cursor, timeline.now())
    assert entry.kind == "reset" and isinstance(entry.data.pop("products"), dict)
    assert entry.data == {"action": "reset", "snapshot": "seed"}
    assert list(Clock.objects.values_list("offset", "frozen_at", "moving_lease")) == REAL_TIME
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)
    connection.check_constraints()


def test_keys_sessions_and_users_with_password_are_kept(saved: Rows, vendor: Caller) -> None:
    Session.objects.create(session_key="s", session_data="", expire_date=clock.now())
    SignInTries.objects.create(key="k", tries=2, at=1)
    User.objects.create_user("own", password="secret-of-own", uid="UR-900-000-001")
    plain = User(username="plain", uid="UR-900-000-002", email="")
    plain.set_unusable_password()
    plain.save()
    demo = User.objects.get(username="vendor")
    demo.set_password("secret-of-vendor")
    demo.first_name, demo.last_login = "Other", clock.now()
    demo.save()
    gone = Account.objects.create(id="VA-999-999", name="New", type="vendor", created=clock.now())
    key = api.caller(gone)
    other = api.caller(Account.objects.get(pk=api.VENDOR), "SU-900-000-003:secret-of-the-other")
    ApiToken.objects.update(context=api.VENDOR)
    reset(vendor)
    assert not ApiToken.objects.exclude(context="").exists()
    assert set(User.objects.filter(username__in=("own", "plain")).values_list("username")) == {
        ("own",)
    }
    found = User.objects.get(pk=demo.pk)
    assert found.check_password("secret-of-vendor") and found.last_login == demo.last_login
    assert found.first_name == "Maya"
    assert Session.objects.count() == SignInTries.objects.count() == 1
    assert other.get("/requests").status == vendor.get("/requests").status == 200
    # The account of this key does not exist any more.
    assert key.get("/requests").status == 401
    assert not ApiToken.objects.filter(user__account=None).exists()


def test_user_with_the_name_of_a_demo_user_is_replaced(saved: Rows, vendor: Caller) -> None:
    before = User.objects.get(username="vendor")
    User.objects.filter(pk=before.pk).delete()
    User.objects.create_user("vendor", password="secret", uid="UR-900-000-001")
    names = {"vendor": "distributor", "distributor": "vendor"}
    reset(vendor)
    assert User.objects.get(username="vendor").pk == before.pk
    pks = {name: User.objects.get(username=name).pk for name in names}
    # Swapped unique names.
    User.objects.filter(pk=pks["vendor"]).update(username="~")
    User.objects.filter(pk=pks["distributor"]).update(username="vendor")
    User.objects.filter(pk=pks["vendor"]).update(username="distributor")
    reset(vendor)
    assert {name: User.objects.get(username=name).pk for name in names} == pks


def test_holds_and_failed_jobs_end(saved: Rows, vendor: Caller) -> None:
    settling.take_hold(300)
    FailedJob.objects.create(job="x", name="x", error="x", since=clock.now())
    reset(vendor)
    assert not Hold.objects.exists() and not FailedJob.objects.exists()


def test_ids_are_never_used_twice(
    saved: Rows, vendor: Caller, distributor: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeded = {pk for rows in saved.values() for pk, *_ in rows if isinstance(pk, str)}
    asset = Asset.objects.filter(status="active", product=PRODUCT).order_by("pk")[0]
    body = {"type": "suspend", "asset": {"id": asset.pk}}
    used: set[str] = set()
    last_delivery = 0
    for _ in range(3):
        hook = webhook(vendor, "http://127.0.0.1:9/")
        child = ok(distributor.post("/requests", body))
        item = ok(vendor.post(f"/products/{PRODUCT}/items", ITEM))
        bill = ok(distributor.post("/subscriptions/requests", _bill(asset)))
        purchased = purchase(distributor)
        new = {hook["id"], child["id"], item["id"], bill["id"]}
        new |= {purchased["id"], purchased["asset"]["id"]}
        assert not new & (used | seeded)
        used |= new
        delivery = Delivery.objects.order_by("pk").first()
        assert delivery is not None and delivery.pk > last_delivery
        last_delivery = Delivery.objects.order_by("-pk")[0].pk
        second = ids.next_in(Request, asset.pk, "PR-", asset.requests.count())
        assert second not in used and second > child["id"]
        reset(vendor)
    assert used <= set(UsedId.objects.values_list("pk", flat=True))
    assert not seeded & set(UsedId.objects.values_list("pk", flat=True))
    # A drawn id that was used is drawn again.
    digits = iter(hook["id"].replace("WH-", "").replace("-", "") + "123456789")
    monkeypatch.setattr(ids.secrets, "choice", lambda choices: next(digits))
    assert ids.draw("webhook") == "WH-123-456-789"


ITEM: dict[str, Any] = {
    "name": "New", "description": "New", "mpn": "new", "type": "reservation",
    "period": "monthly", "precision": "integer", "unit": {"id": "licenses"},
}  # fmt: skip


def _bill(asset: Asset) -> dict[str, Any]:
    period = {"from": "2026-10-01", "to": "2026-11-01", "delta": 1, "uom": "monthly"}
    items = [{"id": asset.items[0]["id"]}]
    return {"type": "provider", "asset": {"id": asset.pk}, "period": period, "items": items}


def test_missing_demo_data_are_created_anew(saved: Rows, vendor: Caller) -> None:
    webhook(vendor, "http://127.0.0.1:9/")
    Account.objects.filter(pk=api.PROVIDER).update(name="Renamed")
    snapshots_of = snapshot_storage.current()
    assert tables.in_own_thread(lambda: snapshots_of.delete("seed"))
    gone = Account.objects.create(id="VA-999-999", name="New", type="vendor", created=clock.now())
    key = api.caller(gone)
    ApiToken.objects.update(context=api.VENDOR)
    reset(vendor)
    assert not ApiToken.objects.exclude(context="").exists()
    assert not Webhook.objects.exists()
    assert Account.objects.get(pk=api.PROVIDER).name == "Northland Distribution"
    new = worlds.contents()
    assert {label: len(rows) for label, rows in new.items()} == {
        label: len(rows) for label, rows in saved.items()
    }
    assert key.get("/requests").status == 401
    assert [each.name for each in snapshots.all_snapshots()] == ["seed"]
    webhook(vendor, "http://127.0.0.1:9/")
    reset(vendor)
    assert worlds.contents() == new


def test_snapshot_that_is_deleted_before_it_is_read_is_missing(
    saved: Rows, vendor: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshots.save("mine", patience=0)
    usable = snapshots.usable

    def usable_and_deleted(name: str) -> snapshot_storage.Snapshot:
        found = usable(name)
        snapshot_storage.current().delete(name)
        return found

    monkeypatch.setattr(snapshots, "usable", usable_and_deleted)
    before = worlds.contents()
    with pytest.raises(Missing):
        tables.in_own_thread(lambda: snapshots._replace_rows("mine", snapshots.RESTORED))
    assert worlds.differing(before, worlds.contents()) == {}


def test_reset_of_empty_sandbox_empties(no_snapshots: None) -> None:
    snapshots.save_seed()
    account = Account.objects.create(id="VA-1", name="A", type="vendor", created=clock.now())
    api.caller(account)
    User.objects.create_user("own", password="secret-of-own", uid="UR-900-000-001")
    snapshots.reset()
    assert not Account.objects.exists() and not ApiToken.objects.exists()
    assert [user.username for user in User.objects.all()] == ["own"]


def test_no_reader_waits_for_a_call_that_is_in_flight_at_a_reset(
    saved: Rows, vendor: Caller, distributor: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its changes are committed, and it has no response yet."""
    request = purchase(distributor)
    positions: list[timeline.Cursor] = []
    recorded = api_calls._recorded

    def after_reset(start: api_calls.Start, *args: Any) -> RecordedCall:
        if start.opened:
            snapshots.reset(patience=0)
            positions.append(timeline.now())
        return recorded(start, *args)

    with monkeypatch.context() as patched:
        patched.setattr(api_calls, "_recorded", after_reset)
        approve(vendor, request)
    assert positions == [timeline.last_reset()]
    api_calls.flush()
    assert not TimelineEntry.objects.filter(is_open=True).exists()


def test_call_that_ends_during_a_reset_is_forgotten(
    saved: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = timeline.open_call(clock.now(), datetime.now(UTC), {})
    begin_time = snapshots._begin_time

    def after_call(*args: Any) -> datetime:
        api_calls._recorder.add(recorded_calls.call(opened=[opened], duration=0.0))
        return begin_time(*args)

    monkeypatch.setattr(snapshots, "_begin_time", after_call)
    snapshots.reset()
    assert timeline.now() == timeline.last_reset()
    api_calls.flush()
    assert ApiCall.objects.count() == TimelineEntry.objects.filter(pk=opened).count() == 0
    assert timeline.now() == timeline.last_reset()


class TestRestore:
    def test_goes_back_to_the_snapshot(
        self, saved: Rows, vendor: Caller, distributor: Caller
    ) -> None:
        hook = webhook(vendor, "http://127.0.0.1:9/")
        request = purchase(distributor)
        ok(vendor.post("/sandbox/clock/advance", {"by": "2h", "patience": 0, "settle": 0}))
        now = clock.now()
        response = ok(vendor.post("/sandbox/snapshots", {"name": "two-hours"}))
        assert response["usable"] is True
        before = worlds.contents()
        approve(vendor, request)
        purchase(distributor)
        Webhook.objects.filter(pk=hook["id"]).update(deleted_at=now)
        ok(vendor.post("/sandbox/clock/advance", {"by": "3d", "patience": 0, "settle": 0}))
        restored = ok(vendor.post("/sandbox/snapshots/two-hours/restore", {"patience": 0}))
        assert not worlds.differing(before, worlds.contents())
        assert timedelta() <= clock.now() - now < timedelta(minutes=1)
        assert restored["now"] <= timeline.format_time(clock.now())  # type: ignore[operator]
        data = TimelineEntry.objects.latest("pk").data
        assert (data["action"], data["snapshot"]) == ("restored", "two-hours")
        reset(vendor)
        assert worlds.contents() == saved
        ok(vendor.post("/sandbox/snapshots/two-hours/restore"))
        assert not worlds.differing(before, worlds.contents())

    def test_time_never_returns_before_real_time(
        self, saved: Rows, vendor: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        past = datetime.now(UTC) - timedelta(hours=5)
        monkeypatch.setattr(clock, "now", lambda: past)
        snapshots.save("past")
        monkeypatch.undo()
        snapshots.restore("past")
        assert list(Clock.objects.values_list("offset", "frozen_at", "moving_lease")) == REAL_TIME
        assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)

    def test_request_in_flight_at_the_save_becomes_due_or_unknown(
        self, saved: Rows, vendor: Caller, distributor: Caller
    ) -> None:
        webhook(vendor, "http://127.0.0.1:9/")
        purchase(distributor)
        Delivery.objects.update(state="calling", claim=None, lease=2e9, started_at=clock.now())
        snapshots.save("calling", patience=0)
        Delivery.objects.update(state="waiting")
        snapshots.restore("calling", patience=0)
        assert [row.lease for row in Delivery.objects.all()] == [0.0]


class TestFailures:
    """The old world is intact after each."""

    @pytest.mark.parametrize("path", ["/sandbox/reset", "/sandbox/snapshots/a/restore"])
    def test_locked_database(self, changed: Rows, vendor: Caller, path: str) -> None:
        locked, release = threading.Event(), threading.Event()

        def hold() -> None:
            with transaction.atomic():
                list(Request.objects.select_for_update())
                Request.objects.update(note="x")
                locked.set()
                release.wait(20)
                transaction.set_rollback(True)

        holding = Background(hold)
        assert locked.wait(10)
        began = time.monotonic()
        response = vendor.post(path, {"patience": 0})
        took = time.monotonic() - began
        release.set()
        holding.result()
        assert (response.status, response.json["error_code"]) == (503, "SYS_503"), response
        assert 1.5 < took < 6
        assert worlds.contents() == changed

    def test_other_version(
        self, changed: Rows, vendor: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tables, "fingerprint", lambda: "other")
        worlds.check_failure(changed, vendor, "/sandbox/snapshots/a/restore", 409, "SNP_002")
        listed = {each["name"]: each["usable"] for each in ok(vendor.get("/sandbox/snapshots"))}
        assert listed == {"a": False, "seed": False}

    def test_error_in_the_middle(
        self, changed: Rows, vendor: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*args: Any) -> None:
            raise OSError("disk")

        monkeypatch.setattr(tables, "_replace_users", fail)
        worlds.check_failure(changed, vendor, "/sandbox/reset", 500, "SYS_001")

    def test_killed_process(self, changed: Rows, vendor: Caller, settings: Any) -> None:
        script = (
            "import django, os, signal; django.setup()\n"
            "from sandbox.world import snapshots; from sandbox.timeline import timeline\n"
            "timeline.append = lambda entries: os.kill(os.getpid(), signal.SIGKILL)\n"
            "snapshots.restore('a', patience=0)\n"
        )
        env = environment(
            settings.SIM_DATA_DIR,
            DATABASE_URL=database_url(),
            DJANGO_SETTINGS_MODULE="connect_sim.settings",
        )
        result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=env, timeout=60)
        assert result.returncode == -signal.SIGKILL
        assert worlds.contents() == changed
        # It is usable.
        ok(vendor.post("/sandbox/snapshots/a/restore", {"patience": 0}))
        assert worlds.contents() != changed
