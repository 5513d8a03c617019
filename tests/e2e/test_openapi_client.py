"""CloudBlue's own Python client, unmodified: lists, every action, webhooks, errors, asyncio."""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import environments, orders
from tests.handlers import Handler, handler
from tests.processes import Sandbox, sandbox

pytestmark = pytest.mark.clients

SCRIPTS = Path(__file__).parent / "client_scripts"
REQUIREMENTS = "connect-openapi-client==35.0\n"
SUITE = "PRD-362-917-440"


@pytest.fixture(scope="module")
def interpreter() -> Path:
    return environments.python("openapi_client", REQUIREMENTS)


@pytest.fixture(scope="module")
def running(interpreter: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        yield running
        # test_restart tests the clean stop, which takes seconds.
        running.process.kill()


@pytest.fixture(scope="module")
def served() -> Iterator[Handler]:
    with handler() as served:
        yield served


def run(interpreter: Path, running: Sandbox, script: str, **variables: str) -> dict[str, Any]:
    """Run a script in the client's environment and return its result."""
    done = subprocess.run(
        [str(interpreter), str(SCRIPTS / f"{script}.py")],
        env={
            **environments.calling_loopback(),
            "CONNECT_URL": f"{running.url}/public/v1",
            "VENDOR_KEY": running.vendor_key,
            "PROVIDER_KEY": running.provider_key,
            **variables,
        },
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@pytest.fixture(scope="module")
def lists(interpreter: Path, running: Sandbox) -> dict[str, Any]:
    return run(interpreter, running, "lists")


@pytest.fixture(scope="module")
def actions(interpreter: Path, running: Sandbox) -> dict[str, Any]:
    return run(interpreter, running, "actions")


@pytest.fixture(scope="module")
def hooks(interpreter: Path, running: Sandbox, served: Handler) -> dict[str, Any]:
    return run(interpreter, running, "hooks", HANDLER_URL=f"{served.url}hook", SECRET=orders.SECRET)


@pytest.fixture(scope="module")
def errors(interpreter: Path, running: Sandbox) -> dict[str, Any]:
    return run(interpreter, running, "errors")


@pytest.fixture(scope="module")
def asynchronous(interpreter: Path, running: Sandbox) -> dict[str, Any]:
    return run(interpreter, running, "asynchronous")


Row = dict[str, Any]

# The rows that each filter of lists.py must find, as predicates.
EXPECTED: dict[str, Callable[[Row, dict[str, Any]], bool]] = {
    "eq": lambda r, f: r["status"] == "pending",
    "keyword": lambda r, f: r["status"] == "pending",
    "keywords": lambda r, f: (
        (r["status"], r["asset"]["product"]["id"]) == ("pending", orders.PLAIN)
    ),
    "keyword_in": lambda r, f: r["id"] in f["some"],
    "string": lambda r, f: r["id"] in f["some"],
    "ne": lambda r, f: r["status"] != "approved",
    "in": lambda r, f: r["status"] in ("pending", "inquiring"),
    "out": lambda r, f: r["status"] not in ("approved", "failed"),
    "like": lambda r, f: r["asset"]["product"]["name"].startswith("Nimbus M"),
    "ilike": lambda r, f: r["asset"]["product"]["name"].endswith("Suite"),
    "spaces": lambda r, f: r["asset"]["product"]["name"] == "Nimbus Backup",
    "and": lambda r, f: (r["asset"]["product"]["id"], r["type"]) == (orders.PLAIN, "purchase"),
    "or": lambda r, f: r["status"] == "failed" or r["type"] == "change",
    "not": lambda r, f: r["type"] == "purchase" and r["status"] != "approved",
    "null": lambda r, f: "planned_date" not in r,
    "not_null": lambda r, f: "planned_date" in r,
    "empty": lambda r, f: r["reason"] == "",
    "not_empty": lambda r, f: r["reason"] != "",
    "ge": lambda r, f: r["created"] >= f["moment"],
    "gt": lambda r, f: r["created"] > f["moment"],
    "le": lambda r, f: r["created"] <= f["moment"],
    "lt": lambda r, f: r["created"] < f["moment"],
    "datetime": lambda r, f: r["created"] >= f["moment"],
    "nested": lambda r, f: r["asset"]["tiers"]["customer"]["id"] == "TA-0418-2290-3327",
    "params": lambda r, f: any(p["id"] == "activation_id" for p in r["asset"]["params"]),
    "chained": lambda r, f: (r["asset"]["product"]["id"], r["type"]) == (SUITE, "purchase"),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_filter_finds_the_expected_rows(lists: dict[str, Any], name: str) -> None:
    expected = {row["id"] for row in lists["everything"] if EXPECTED[name](row, lists)}
    result = lists["filters"][name]
    assert sorted(result) == sorted(expected)
    assert lists["counts"][name] == len(expected)
    # A query that matches no rows or all rows would prove nothing.
    assert 0 < len(expected) < len(lists["everything"])


def test_every_filter_of_the_script_is_checked(lists: dict[str, Any]) -> None:
    assert set(lists["filters"]) == set(EXPECTED)


def test_order(lists: dict[str, Any]) -> None:
    rows = lists["everything"]
    assert rows == sorted(rows, key=lambda row: (row["created"], row["id"]))
    newest_first = sorted(sorted(row["id"] for row in rows), key=_created(rows), reverse=True)
    assert lists["ordered"] == newest_first
    assert lists["ordered_by_name"] == sorted(lists["ordered_by_name"])


def _created(rows: list[Row]) -> Callable[[str], str]:
    created = {row["id"]: row["created"] for row in rows}
    return created.__getitem__


def test_counts(lists: dict[str, Any]) -> None:
    rows = lists["everything"]
    assert lists["count_of_all"] == len(rows) >= 25
    assert lists["count"] == sum(row["status"] == "approved" for row in rows)
    assert (lists["count_of_nothing"], lists["list_of_nothing"]) == (0, [])


def test_first_items_and_slices(lists: dict[str, Any]) -> None:
    ordered, by_id = lists["ordered"], sorted(row["id"] for row in lists["everything"])
    assert lists["first"] == ordered[0]
    assert lists["first_of_nothing"] is None
    assert lists["item"] == ordered[3]
    assert lists["slice"] == ordered[2:5]
    assert lists["slice_over_pages"] == by_id[3:14]
    assert lists["is_there"] == [True, False]


def test_pages(lists: dict[str, Any]) -> None:
    by_id = sorted(row["id"] for row in lists["everything"])
    assert len(by_id) > 20, "three pages of ten"
    assert lists["paged"] == by_id
    last_page = len(by_id) // 10 * 10
    assert lists["content_range"] == [last_page, len(by_id) - 1, len(by_id)]


def test_select(lists: dict[str, Any]) -> None:
    row = next(row for row in lists["everything"] if row["id"] == lists["some"][0])
    whole = copy.deepcopy(row)
    del whole["asset"]["items"], whole["asset"]["params"], whole["note"]
    assert lists["selected"] == whole


def test_search_values_and_exists(lists: dict[str, Any]) -> None:
    one = lists["some"][0]
    row = next(row for row in lists["everything"] if row["id"] == one)
    assert lists["search"] == [one]
    assert lists["values"] == [{"id": one, "asset.product.id": row["asset"]["product"]["id"]}]
    assert lists["resource_values"] == {"id": one, "asset.connection.hub.id": "HB-7710-3391"}
    assert lists["exists"] == [True, False]


def test_other_collections(lists: dict[str, Any]) -> None:
    first = lists["everything"][0]
    assert "AS-5810-2277-4093" in lists["assets"]
    assert lists["assets"] == sorted(lists["assets"])
    assert first["id"] in lists["requests_of_asset"]
    assert lists["products"] == ["PRD-362-917-440", "PRD-590-284-731", "PRD-814-505-018"]
    assert (lists["template"]["scope"], lists["template"]["type"]) == ("asset", "fulfillment")
    assert lists["items"] == ["PRD-814-505-018-0001", "PRD-814-505-018-0002"]


@pytest.mark.parametrize(
    ("action", "status", "asset_status"),
    [
        ("draft", "draft", "draft"),
        ("draft_change", "draft", "active"),
        ("submit", "pending", "active"),
        ("update", "pending", "processing"),
        ("inquire", "inquiring", "processing"),
        ("pend", "pending", "processing"),
        ("schedule", "scheduled", "processing"),
        ("revoke", "revoking", "processing"),
        ("confirm", "revoked", "terminated"),
        ("assign", "pending", "processing"),
        ("unassign", "pending", "processing"),
        ("fail", "failed", "terminated"),
        ("approve", "approved", "active"),
    ],
)
def test_action_returns_the_changed_request(
    actions: dict[str, Any], action: str, status: str, asset_status: str
) -> None:
    result = actions[action]
    assert (result["status"], result["asset"]["status"]) == (status, asset_status)


def test_draft_is_purchased(actions: dict[str, Any]) -> None:
    result = actions["purchase"]
    assert result["id"] == actions["draft"]["id"]
    # The suite's reseller has to be set up first.
    assert result["status"] in ("pending", "tiers_setup")
    assert result["asset"]["status"] == "processing"


def test_actions_store_their_results(actions: dict[str, Any]) -> None:
    assert actions["submit"]["asset"]["items"][0]["quantity"] == "7"
    params = {p["id"]: p for p in actions["inquire"]["asset"]["params"]}["contact_email"]
    answered = {p["id"]: p for p in actions["pend"]["asset"]["params"]}["contact_email"]
    assert params["value_error"] == "Nobody reads this."
    assert (answered["value"], answered["value_error"]) == ("it@example.com", "")
    assert actions["inquire"]["template"]["id"] == "TL-213-870-002"
    assert "params_form_url" in actions["inquire"]
    assert actions["update"]["note"] == "Asked."
    assert actions["schedule"]["planned_date"].endswith("+00:00")
    assert actions["revoke"]["reason"] == "Not any more."
    assert actions["assign"]["assignee"]["id"] == "UR-426-913-070"
    assert actions["unassign"]["assignee"] == ""
    assert actions["assign_by_email"]["assignee"]["id"] == "UR-426-913-070"
    assert actions["fail"]["reason"] == "No."
    assert actions["approve"]["template"]["id"] == "TL-213-870-001"
    assert actions["asset"]["status"] == "active"
    assert [r["status"] for r in actions["later"]] == ["approved"] * 3
    assert [r["asset"]["status"] for r in actions["later"]] == ["suspended", "active", "terminated"]


def test_failing_without_reason_is_refused(actions: dict[str, Any]) -> None:
    error = actions["fail_without_reason"]
    assert (error["status"], error["error_code"]) == (400, "REQ_005")
    assert error["errors"] == ["Missed fields: reason."]


def test_webhooks_are_created_read_and_changed(hooks: dict[str, Any]) -> None:
    hook = hooks["created"]
    assert hooks["read"] == hook
    assert (hook["type"], hook["http_method"], hook["active"]) == ("event", "POST", True)
    assert hook["headers"] == {"X-Env": "lab"}
    changed = hooks["changed"]
    assert (changed["label"], changed["description"]) == ("Changed", "By the client.")
    # Fields that the body omits are unchanged.
    for name in ("external_url", "jwt_secret", "headers", "data", "active", "product"):
        assert changed[name] == hook[name]
    assert hook["id"] in hooks["listed"]
    assert hooks["searched"] == [hook["id"]]
    assert hooks["disabled"]["active"] is False


def test_trigger_now_returns_no_body(hooks: dict[str, Any], served: Handler) -> None:
    assert hooks["triggered"] == [200, "b''"]
    assert hooks["after"]["stats"]["triggers"] == hooks["after"]["stats"]["success_triggers"] == 1
    calls = [request for request in served.received if request.path == "/hook"]
    assert [request.json["webhook_id"] for request in calls] == [hooks["created"]["id"]]
    assert calls[0].headers["X-Env"] == "lab"
    error = hooks["trigger_of_disabled"]
    assert (error["status"], error["error_code"]) == (400, "WH_001")


def test_webhooks_are_deleted_by_their_owner_only(hooks: dict[str, Any]) -> None:
    assert hooks["deleted"] == [204, None]
    assert hooks["exists"] is False
    assert (hooks["of_another"]["status"], hooks["of_another"]["error_code"]) == (404, "NFND_000")


@pytest.mark.parametrize(
    ("call", "status", "code"),
    [
        ("missing", 404, "NFND_000"),
        ("missing_path", 404, "NFND_000"),
        ("invalid", 400, "VAL_001"),
        ("invalid_in_several_ways", 400, "VAL_001"),
        ("unknown_property", 400, "VAL_001"),
        ("bad_query", 400, "VAL_001"),
        ("bad_date", 400, "VAL_001"),
        ("wrong_key", 401, "AUTH_001"),
        ("no_key", 401, "AUTH_001"),
        ("wrong_scheme", 401, "AUTH_001"),
        ("not_yours", 403, "AUTH_002"),
        ("wrong_status", 400, "REQ_003"),
        ("again", 409, "REQ_009"),
    ],
)
def test_refusal_raises_a_client_error_with_code_and_strings(
    errors: dict[str, Any], call: str, status: int, code: str
) -> None:
    error = errors[call]
    assert (error["status"], error["error_code"]) == (status, code)
    assert error["errors"]
    assert all(isinstance(text, str) and text for text in error["errors"])
    # The client's message contains the code and the texts.
    assert code in error["text"]
    assert error["errors"][0] in error["text"]


def test_every_invalid_field_is_named(errors: dict[str, Any]) -> None:
    messages = errors["invalid_in_several_ways"]["errors"]
    assert {text.partition(":")[0] for text in messages} == {
        "product_id", "object_class", "external_url", "jwt_secret",
    }  # fmt: skip


def test_conflict_names_the_other_request(errors: dict[str, Any]) -> None:
    params = errors["again"]["params"]
    assert (params["request_id"], params["request_status"]) == (errors["first"], "pending")


def test_asyncio_client(asynchronous: dict[str, Any]) -> None:
    report = asynchronous
    assert len(report["everything"]) > 20
    assert report["everything"] == sorted(set(report["everything"]))
    assert report["slice"] == report["everything"][3:14]
    assert report["created"] in report["since"]
    assert report["newest"]["id"] in report["since"]
    assert report["created"] in report["pending"]
    assert report["counts"] == [len(report["everything"]), len(report["pending"])]
    filled = {p["id"]: p["value"] for p in report["updated"]["asset"]["params"]}
    assert filled["activation_id"] == "async-1"
    approved = report["approved"]
    assert (approved["id"], approved["status"]) == (report["created"], "approved")
    assert report["exists"] is False


def test_refusal_in_the_asyncio_client(asynchronous: dict[str, Any]) -> None:
    error = asynchronous["refused"]
    assert (error["status"], error["error_code"]) == (400, "REQ_003")
    pk = asynchronous["created"]
    assert error["errors"] == [f"{pk} is approved: approve is for pending only."]
