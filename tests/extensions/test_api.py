"""`/devops`: what the runner and extensions call; what only the developer may, and sees."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from extensions import actions, fan_out
from extensions.models import NEW, Environment, Extension, Schedule, Task, Variable
from requests_queue import clock
from requests_queue.catalog import keys
from sandbox.models import ApiCall, TimelineEntry
from sandbox.timeline import api_calls
from tests import make
from tests.api import Caller, caller, refused
from tests.extensions.changes import change
from tests.extensions.runner import PURCHASE

pytestmark = pytest.mark.django_db
SECRET = "canary-of-a-variable"


@pytest.fixture
def path(environment: Environment) -> str:
    """The path of the environment."""
    return f"/devops/services/{environment.extension_id}/environments/{environment.pk}"


def _task(environment: Environment, **more: Any) -> Task:
    fields = {"event_type": PURCHASE, "category": "background", "status": NEW, **more}
    return Task.objects.create(
        environment=environment,
        installation=environment.installations.get(account=environment.extension.account),
        object_id="PR-1",
        created_at=clock.now(),
        **fields,
    )


@pytest.fixture
def paths(environment: Environment, path: str) -> list[tuple[str, str]]:
    """Every operation on what the vendor has."""
    service = f"/devops/services/{environment.extension_id}"
    variable = Variable.objects.create(environment=environment, name="A", value="1")
    schedule = Schedule.objects.create(
        environment=environment,
        name="S",
        method="run",
        trigger={"type": "onetime", "date": "2099-01-01T00:00:00+00:00"},
        created_at=clock.now(),
    )
    task, [installation] = _task(environment), environment.installations.all()
    details = [
        service,
        path,
        f"{path}/schedules/{schedule.shown_id}",
        f"{path}/tasks/{task.shown_id}",
        f"{service}/installations/{installation.pk}",
        f"/devops/installations/{installation.pk}",
    ]
    lists = [
        f"{service}/environments",
        f"{path}/variables",
        f"{path}/schedules",
        f"{path}/tasks",
        f"{service}/installations",
    ]
    return [
        *(("GET", each) for each in (*details, *lists)),
        ("PUT", path),
        ("POST", f"{path}/variables"),
        ("PUT", f"{path}/variables/{variable.shown_id}"),
        ("DELETE", f"{path}/variables/{variable.shown_id}"),
        ("POST", f"{path}/schedules"),
        ("PUT", f"{path}/schedules/{schedule.shown_id}"),
        *(
            ("POST", f"{path}/schedules/{schedule.shown_id}/{name}")
            for name in ("trigger", "disable", "enable")
        ),
        ("DELETE", f"{path}/schedules/{schedule.shown_id}"),
        ("POST", f"{path}/tasks/{task.shown_id}/resubmit"),
        ("PUT", f"/devops/installations/{installation.pk}"),
        ("POST", f"/devops/installations/{installation.pk}/uninstall"),
        ("POST", f"{service}/installations/{installation.pk}/impersonate"),
    ]


def test_another_account_gets_404_and_the_owner_does_not(
    paths: list[tuple[str, str]], who: Caller, catalog: make.Catalog
) -> None:
    elsewhere = make.catalog("2")
    for stranger in (elsewhere.vendor, catalog.provider):
        other = caller(stranger)
        assert [
            (method, each, found)
            for method, each in paths
            if (found := other.call(method, each).status) != 404
        ] == []
        assert [other.get(f"/devops/{each}").json for each in ("services", "installations")] == [
            [],
            [],
        ]
    found = {who.call(method, each).status for method, each in paths}
    assert found <= {200, 204, 400}


def test_identifiers_have_one_form(environment: Environment, path: str, who: Caller) -> None:
    task = _task(environment)
    number = environment.pk.removeprefix("ENV-")
    assert who.get(f"{path}/tasks/TQ-{number}-{task.pk:06d}").status == 200
    wrong = (str(task.pk), f"TQ-{number}-{task.pk}", f"XX-{number}-{task.pk:06d}", "TQ-", "\u0663")
    for each in (*wrong, f"TQ-{number}-{10**30}"):
        assert who.get(f"{path}/tasks/{each}").status == 404, each


def test_service_is_made_with_environment_and_installation(
    who: Caller, catalog: make.Catalog
) -> None:
    made = who.post("/devops/services", {"name": "Mine", "products": [{"id": catalog.product.pk}]})
    assert made.status == 201 and made.json["owner"]["id"] == catalog.vendor.pk
    assert [each["id"] for each in made.json["products"]] == [catalog.product.pk]
    environment = made.json["environments"]["development"]
    assert environment["id"] == made.json["id"].replace("SRVC", "ENV") + "-01"
    assert environment["status"] == "uninitialized"
    [installation] = who.get("/devops/installations").json
    assert installation["environment"]["id"] == environment["id"]
    other = make.catalog("2").product.pk
    for body in (
        {},
        {"name": ""},
        {"name": "a", "type": "transformations"},
        {"name": "a", "products": [{"id": other}]},
        {"name": "a", "products": other},
        {"name": "a", "products": [{}]},
    ):
        assert who.post("/devops/services", body).status == 400, body
    assert len(who.get("/devops/services").json) == 1


def test_variables_are_masked_if_they_are_secure(
    path: str, environment: Environment, who: Caller
) -> None:
    secure = who.post(f"{path}/variables", {"name": "A", "value": SECRET, "secure": True})
    plain = who.post(f"{path}/variables", {"name": "B", "value": "visible"})
    assert (secure.status, secure.json["value"]) == (201, "********")
    assert (plain.status, plain.json["value"]) == (201, "visible")
    changed = who.put(f"{path}/variables/{secure.json['id']}", {"value": f"{SECRET}-2"})
    assert changed.json == {**secure.json}
    assert Variable.objects.get(name="A").value == f"{SECRET}-2"
    for body in ({"name": "A", "value": "1"}, {"name": "C"}, {"value": "1"}, {}):
        refused(who.post(f"{path}/variables", body), 400)
    shown = [who.get(each).json for each in (f"{path}/variables", path)]
    api_calls.flush()
    stored = [*ApiCall.objects.values(), *TimelineEntry.objects.values()]
    assert "canary" not in repr((shown, stored)) and "visible" in repr(shown)
    # In the database it is encrypted.
    assert not Variable.objects.extra(where=[f"value LIKE '%%{SECRET}%%'"]).exists()
    assert who.delete(f"{path}/variables/{secure.json['id']}").status == 204
    assert who.delete(f"{path}/variables/{secure.json['id']}").status == 404


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "name"),
        ({"trigger": []}, "trigger"),
        ({"trigger": {"type": "advanced"}}, "trigger.type"),
        ({"trigger": {"type": "onetime", "date": 1}}, "trigger.date"),
        ({"parameter": [1]}, "parameter"),
        ({"name": 1}, "name"),
    ],
)
def test_invalid_schedule_is_refused(path: str, who: Caller, body: Any, error: str) -> None:
    valid = {"name": "S", "method": "run", "trigger": {"type": "onetime", "date": "2099-01-01"}}
    response = who.post(f"{path}/schedules", {**valid, **body} if body else {})
    assert response.status == 400 and any(
        each.startswith(f"{error}:") for each in response.json["errors"]
    ), response
    assert not Schedule.objects.exists()


def test_schedule_with_another_trigger_begins_anew(path: str, who: Caller) -> None:
    trigger = {"type": "recurring", "start": "2099-01-01T00:00Z", "unit": "days"}
    made = who.post(f"{path}/schedules", {"name": "S", "method": "run", "trigger": trigger}).json
    assert made["events"]["next_trigger"]["at"] == "2099-01-01T00:00:00+00:00"
    assert made["trigger"]["amount"] == 1 and made["status"] == "enabled"
    one = f"{path}/schedules/{made['id']}"
    changed = who.put(one, {"trigger": {**trigger, "start": "2098-01-01T00:00Z"}}).json
    assert changed["events"]["next_trigger"]["at"] == "2098-01-01T00:00:00+00:00"
    disabled = who.post(f"{one}/disable").json
    assert disabled["status"] == "disabled" and "next_trigger" not in disabled["events"]
    # It stays disabled.
    assert "next_trigger" not in who.put(one, {"trigger": trigger}).json["events"]
    assert who.post(f"{one}/enable").json == {**made}


def test_task_shows_its_object_and_can_be_sent_again(
    path: str, environment: Environment, who: Caller
) -> None:
    task = _task(environment, status="failed", output="Broken.")
    [shown] = who.get(f"{path}/tasks").json
    assert shown["object"] == {"id": "PR-1", "type": PURCHASE, "category": "background"}
    assert (shown["status"], shown["output"]) == ("failed", "Broken.")
    assert shown["environment"]["extension"]["id"] == environment.extension_id
    one = f"{path}/tasks/{task.shown_id}"
    assert who.post(f"{one}/resubmit").json["status"] == "retrying"
    refused(who.post(f"{one}/resubmit"), 400)


def test_runner_that_validates_finds_version_and_definitions(who: Caller, settings: Any) -> None:
    settings.SIM_CONNECT_VERSION = "43.0"
    first = who.get("/devops/event-definitions?limit=2&offset=1")
    assert len(first.json) == 2 and first.headers["Content-Range"].startswith("items 1-2/")
    assert who.get("/accounts?limit=1").headers["Connect-Version"] == "43.0"
    found = {row["type"]: row for row in who.get("/devops/event-definitions?limit=500").json}
    # All of connect-eaas-core 37.4, and some that only published extensions name.
    orders = ("purchase", "change", "suspend", "resume", "cancel", "renew", "transfer")
    processed = {
        *(f"asset_{kind}" for kind in (*orders, "adjustment")),
        *(f"tier_config_{kind}" for kind in ("setup", "change", "adjustment")),
        *("listing_new", "listing_remove", "listing", "tier_account_update"),
        *("usage_file", "part_usage_file"),
    }
    validated = {
        *(f"asset_{kind}" for kind in ("purchase", "change", "renew", "transfer")),
        *(f"tier_config_{kind}" for kind in ("setup", "change")),
    }
    assert found.keys() == {
        *(f"{each}_request_processing" for each in processed),
        *(f"{each}_request_validation" for each in validated),
        *("product_action_execution", "product_custom_event_processing", "scheduled_execution"),
        *("product_changed", "installation_status_change", "helpdesk_case_processing"),
    }
    # Those that must be declared without statuses, and those that must have some.
    without = {kind for kind, row in found.items() if not row["object_statuses"]}
    assert without == {
        kind for kind in found if kind.endswith(("execution", "custom_event_processing"))
    }
    assert "draft" in found["asset_purchase_request_validation"]["object_statuses"]


# -- keys of installations


def test_key_of_an_installation_acts_for_its_account_and_expires(
    environment: Environment, who: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    elsewhere = make.catalog("2")
    theirs = actions.install(environment, elsewhere.vendor)
    path = f"/devops/services/{environment.extension_id}/installations/{theirs.pk}/impersonate"
    with caplog.at_level(logging.DEBUG):
        response = who.post(path)
    full = response.json["installation_api_key"]
    scheme, _, key = full.partition(" ")
    assert (response.status, scheme) == (200, "ApiKey")
    acting = Caller(key)
    assert acting.get(f"/products/{elsewhere.product.pk}").status == 200
    [seen] = acting.get("/devops/installations").json
    assert seen["id"] == theirs.pk
    # Nothing of the developer's.
    assert acting.get("/devops/services").json == []
    assert acting.post(path).status == 404
    with time_machine.travel(datetime.now(UTC) + actions.KEY_LIFETIME + timedelta(seconds=1)):
        assert acting.get("/devops/installations").status == 401
    api_calls.flush()
    secret = key.partition(":")[2]
    stored = [*ApiCall.objects.values(), *TimelineEntry.objects.values()]
    assert secret not in repr(stored) and secret not in caplog.text


def test_tasks_share_a_key_for_a_while(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation = environment.installations.get()
    monkeypatch.setattr(actions, "_keys", {})
    key = actions.key_of(installation)
    assert actions.key_of(installation) == key
    user = keys.owner(key)
    assert user and user.account == installation.account
    monkeypatch.setattr(actions, "_keys", {installation.pk: (key, 0.0)})
    assert actions.key_of(installation) != key


def test_settings_of_an_installation_are_stored(environment: Environment, who: Caller) -> None:
    path = f"/devops/installations/{environment.installations.get().pk}"
    assert who.put(path, {"settings": {"a": 1}}).json["settings"] == {"a": 1}
    assert {who.put(path, body).status for body in ({"settings": [1]}, {})} == {400}
    assert who.get(path).json["settings"] == {"a": 1}


def test_accounts_install_and_uninstall_an_extension_for_all(
    environment: Environment, who: Caller, catalog: make.Catalog
) -> None:
    mine = environment.installations.get()
    mine_path = f"/devops/installations/{mine.pk}"
    other = caller(catalog.provider)
    body = {"environment": {"id": environment.pk}, "settings": {"a": 1}}
    # One for products is the developer's, who has installed it.
    for client in (who, other):
        assert client.post("/devops/installations", body).status == 400
    Extension.objects.update(type="multiaccount")
    Environment.objects.update(subscriptions={"installation_status_change": ["uninstalled"]})
    made = other.post("/devops/installations", body)
    assert (made.status, made.json["status"], made.json["settings"]) == (201, "installed", {"a": 1})
    assert made.json["owner"]["id"] == catalog.provider.pk
    for wrong in (body, {}, {**body, "settings": 1}, {**body, "environment": {"id": "ENV-1"}}):
        assert other.post("/devops/installations", wrong).status == 400, wrong
    waiting = _task(environment)
    gone = who.post(f"{mine_path}/uninstall").json
    assert gone["status"] == "uninstalled" and set(gone["events"]) == {"installed", "uninstalled"}
    refused(who.post(f"{mine_path}/uninstall"), 400)
    waiting.refresh_from_db()
    assert waiting.status == "skipped"
    # Its extension gets a task about it, and no more of other objects.
    fan_out.record([change(catalog)])
    task = Task.objects.exclude(pk=waiting.pk).get()
    assert (task.object_id, task.event_type) == (mine.pk, "installation_status_change")
    service = f"/devops/services/{environment.extension_id}"
    refused(who.post(f"{service}/installations/{mine.pk}/impersonate"), 400)
    # Installed again, it is another one.
    Environment.objects.update(subscriptions={"installation_status_change": ["installed"]})
    again = who.post("/devops/installations", body).json
    assert again["id"] != mine.pk and Task.objects.filter(object_id=again["id"]).exists()
    shown = who.get(f"{service}/installations?status=installed").json
    assert {each["id"] for each in shown} == {again["id"], made.json["id"]}
