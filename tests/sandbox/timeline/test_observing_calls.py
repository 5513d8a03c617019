"""`GET /sandbox/api-calls`: which calls it returns, and how a client follows them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from requests_queue.db import retention
from sandbox.api import observing
from sandbox.models import ApiCall, ApiCallObject
from sandbox.timeline import api_calls, call_storage, timeline
from tests import make
from tests.api import Caller
from tests.make import Catalog
from tests.portal import delivery_rows
from tests.pruned import prune_all, small_steps
from tests.sandbox import recorded
from webhooks.models import Delivery

# With commits: on PostgreSQL the timeline ends before the oldest transaction in progress.
pytestmark = pytest.mark.django_db(transaction=True)
PK, OTHER = "PR-1111-2222-3333-001", "PR-4444-5555-6666-001"


def calls(who: Caller, query: str = "") -> list[Any]:
    response = who.get(f"/sandbox/api-calls{query}")
    assert response.status == 200, response
    return list(response.json["calls"])


def paths(who: Caller, query: str = "") -> list[str]:
    return [each["path"].removeprefix("/public/v1/requests/") for each in calls(who, query)]


def test_call_is_shown_with_everything_that_is_stored(who: Caller, catalog: Catalog) -> None:
    assert calls(who) == []
    body = {"template_id": "TL-111-222-333"}
    who.post(f"/requests/{PK}/approve?limit=1", body, **{"User-Agent": "handler/1.0"})
    [call] = calls(who)
    assert call.pop("duration") > 0 and call.pop("id")
    assert who.key and call.pop("key") == who.key.partition(":")[0]
    assert call.pop("started_at") <= call.pop("real_started_at")
    assert call == {
        "method": "POST",
        "path": f"/public/v1/requests/{PK}/approve",
        "query": "limit=1",
        "status": 404,
        "error_code": "NFND_000",
        "actor": "handler",
        "account": catalog.vendor.pk,
        "user_agent": "handler/1.0",
        "objects": [PK, "TL-111-222-333"],
        "webhook": None,
        "delivery": None,
        "attempt": None,
        "link": "",
        "request_body": '{"template_id": "TL-111-222-333"}',
        "response_body": call["response_body"],
        "is_truncated": False,
        "redacted": False,
        "faults": [],
    }
    assert "NFND_000" in call["response_body"]


def test_calls_are_filtered_by_object_webhook_and_delivery(who: Caller, catalog: Catalog) -> None:
    hooks = [make.webhook(catalog, n=n) for n in (1, 2)]
    rows: list[Delivery] = []
    for hook, pk in zip(hooks, (PK, OTHER), strict=True):
        rows.append(delivery_rows.delivery(hook, pk, state="calling", started_at=make.AT))
        sent = {"started": make.AT.timestamp() + 1, "account": hook.account_id}
        call_storage.store([recorded.call(f"/public/v1/requests/{pk}", **sent)])
    assert paths(who) == [PK, OTHER]
    assert paths(who, f"?object={PK}") == paths(who, f"?webhook={hooks[0].pk}") == [PK]
    assert paths(who, f"?delivery={rows[1].pk}") == [OTHER]
    assert paths(who, f"?delivery={rows[1].pk}&object={PK}") == []
    assert paths(who, "?webhook=WH-999-999-999") == []


def test_client_follows_calls_by_the_cursor(who: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observing, "_CHUNK", 2)
    for n in range(7):
        who.get(f"/requests/PR-{n}")
    assert paths(who, "?limit=2") == ["PR-5", "PR-6"]
    cursor, seen = "0.0", list[str]()
    for size in (3, 3, 1, 0):
        response = who.get(f"/sandbox/api-calls?since={cursor}&limit=3").json
        assert len(response["calls"]) == size
        seen += [each["path"][-1] for each in response["calls"]]
        cursor = response["cursor"]
    assert seen == list("0123456")
    who.get("/requests/PR-7")
    assert paths(who, f"?since={cursor}") == ["PR-7"]


def test_cursor_of_the_latest_calls_continues_them(who: Caller) -> None:
    who.get("/requests/PR-0")
    cursor = who.get("/sandbox/api-calls").json["cursor"]
    assert paths(who, f"?since={cursor}") == []
    who.get("/requests/PR-1")
    assert paths(who, f"?since={cursor}") == ["PR-1"]


def test_readers_of_the_timeline_see_calls_at_once(who: Caller) -> None:
    before = who.get("/sandbox/cursor").json["cursor"]
    who.get("/requests/PR-1")
    [entry] = who.get(f"/sandbox/timeline?since={before}&kind=api_call").json["entries"]
    assert entry["data"]["id"] == ApiCall.objects.get().pk
    who.get("/requests/PR-2")
    after = who.get("/sandbox/cursor").json["cursor"]
    assert who.get(f"/sandbox/timeline?since={after}").json["entries"] == []
    assert len(api_calls._recorder) == 0


def test_pruned_calls_leave_their_entries(who: Caller) -> None:
    who.get("/requests/PR-0")
    api_calls.flush()
    ApiCall.objects.get().delete()
    assert paths(who, "?since=0.0") == [] and timeline.now() != timeline.Cursor()


def test_values_of_password_parameters_are_masked(who: Caller, catalog: Catalog) -> None:
    make.parameter(catalog, "root_password", type="password", phase="fulfillment")
    secret = "never-shown-secret"
    typed = {"params": [{"id": "root_password", "type": "password", "value": secret}]}
    sent = json.dumps({"asset": {"params": [{"id": "root_password", "value": secret}]}})
    returned = json.dumps({"asset": typed, "other": {"id": "region", "value": "eu"}})
    others = [{"value": 8675309}, {"structured_value": {"deep": [secret]}}, {"value": secret}]
    whole = json.dumps({"results": [typed, *others]})
    cut = [whole[: whole.rindex(secret) + 5], whole[: whole.index("deep") + 15]]
    for body in (returned, *cut):
        bodies = {"request_body": sent.encode(), "response_body": body.encode()}
        call_storage.store([recorded.call(account=catalog.vendor.pk, **bodies)])
    shown = calls(who)
    assert not any(part in json.dumps(shown) for part in ("never", "8675309"))
    assert json.loads(shown[0]["response_body"])["other"]["value"] == "eu"
    assert json.loads(shown[0]["request_body"])["asset"]["params"][0]["id"] == "root_password"


def test_defaults_and_configured_values_of_password_parameters_are_masked(
    who: Caller, catalog: Catalog
) -> None:
    secret, path = "never-shown-secret", f"/products/{catalog.product.pk}"
    # The API takes types in any case.
    body = {
        "name": "pin", "title": "PIN", "type": "Password", "phase": "configuration",
        "scope": "product", "default": secret,
    }  # fmt: skip
    created = who.post(f"{path}/parameters", body)
    ids = (created.json["id"], "pin")
    responses = [created]
    for pk in ids:
        value = {"parameter": {"id": pk}, "value": secret}
        responses += [
            who.put(f"{path}/parameters/{pk}", {"default": secret}),
            who.put(f"{path}/parameters/{pk}", f'{{"title": "PIN", "default": "{secret}'),
            who.post(f"{path}/configurations", value),
            who.get(f"{path}/parameters/{pk}"),
        ]
    responses += [who.get(f"{path}/{part}") for part in ("parameters", "configurations")]
    assert [each.status for each in responses] == [201, *([200, 400, 201, 200] * 2), 200, 200]
    # An ordinary parameter of another product has the same name.
    typed = json.dumps({"params": [{"id": "pin", "type": "text", "value": "eu"}]}).encode()
    call_storage.store([recorded.call(account=catalog.vendor.pk, response_body=typed)])
    shown = calls(who)
    assert len(shown) == len(responses) + 1
    assert secret not in json.dumps(shown)
    assert shown[0]["request_body"].startswith('{"name": "pin"')
    assert typed.decode() in [each["response_body"] for each in shown]


def test_old_calls_are_pruned(
    catalog: Catalog, who: Caller, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_steps(monkeypatch, 2)
    for _ in range(5):
        who.get("/requests/PR-1111-2222-3333-001")
    api_calls.flush()
    ids = list(ApiCall.objects.values_list("pk", flat=True))
    day = timedelta(days=1)
    for row in ApiCall.objects.filter(pk__in=ids[:3]):
        row.real_started_at -= (settings.SIM_KEEP_DAYS + 1) * day
        row.save()
    assert prune_all()["API calls"] == 3
    assert list(ApiCall.objects.values_list("pk", flat=True)) == ids[3:]
    assert set(ApiCallObject.objects.values_list("call_id", flat=True)) == set(ids[3:])


def test_calls_of_pruned_deliveries_are_pruned(
    catalog: Catalog, who: Caller, settings: Any
) -> None:
    settings.SIM_KEEP_DAYS, settings.SIM_KEEP_DELIVERIES = 0, 1
    hook = make.webhook(catalog)
    old, new = (
        Delivery.objects.create(webhook=hook, state="delivered", created_at=make.AT)
        for _ in range(2)
    )
    for row in (old, new):
        who.get(f"/requests/{PK}")
        api_calls.flush()
        ApiCall.objects.filter(delivery_id=None).update(delivery_id=row.pk)
    counted = retention.run(dry_run=True).removed
    assert {name: n for name, n in counted.items() if n} == {"deliveries": 1, "API calls": 1}
    assert ApiCall.objects.count() == 2
    assert prune_all()["API calls"] == 1
    call = ApiCall.objects.get()
    assert call.delivery_id == new.pk
    assert set(ApiCallObject.objects.values_list("call_id", flat=True)) == {call.pk}
