"""CloudBlue's JavaScript SDK, unmodified: every method, the queues, and the Zapier app."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests import environments, orders
from tests.contract.document import MISSING, connects
from tests.handlers import Handler, handler
from tests.processes import ROOT, Sandbox, sandbox

pytestmark = pytest.mark.node

SCRIPTS = Path(__file__).parent / "client_scripts"
PACKAGE = ROOT / "examples" / "node_handler" / "package.json"
SUITE = "PRD-362-917-440"
PAGE = ROOT / "docs" / "clients" / "javascript-sdk.md"
SHOWN = re.findall(r"^```js\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
Report = dict[str, Any]

_CRUD = "create delete get search update"

# Methods of the SDK that are not served, by reason: class and calls.
ABSENT = {
    "helpdesk cases are none of the queues": {
        "CaseResource": f"{_CRUD} close inquire pend resolve",
        "CaseAttachmentsResource": _CRUD,
        "CaseSettingsResource": _CRUD,
    },
    "users are the sandbox's own: the admin writes them": {
        "AccountUserResource": "create delete update",
    },
    "a product has one version here": {"ProductVersionResource": _CRUD},
    "the platform keeps an object's one conversation": {"ConversationResource": "delete"},
    "accounts are the sandbox's own: the admin writes them": {
        "AccountResource": "create delete update",
    },
    # The SDK has five calls for each resource, Connect has fewer.
    "Connect has no such call either": {
        "AssetResource": "create delete update",
        "BillingRequestResource": "delete update",
        "ConversationResource": "update",
        "ListingRequestResource": "update",
        "MessageResource": "delete",
        "ProductConfigurationResource": "delete get update",
        "ProductConnectionsResource": "delete",
        "RecurringAssetResource": "create delete update",
        "RequestResource": "delete",
        "TierAccountRequestResource": "delete update",
        "TierAccountVersionResource": "create delete update",
        "TierConfigRequestResource": "delete",
        "TierConfigResource": "create delete update",
    },
}
# Filters of the Zapier app that the document does not have.
UNKNOWN_FILTERS = {
    "assets": {"external_name"},
    "tier_account_requests": {
        "account.scopes", "account.marketplace.id", "account.marketplace.name",
    },
}  # fmt: skip


def absent() -> set[str]:
    return {
        f"{name}.{call}"
        for table in ABSENT.values()
        for name, calls in table.items()
        for call in calls.split()
    }


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    environments.node("node_handler", PACKAGE)
    with sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        yield running
        # test_restart tests the clean stop, which takes seconds.
        running.process.kill()


@pytest.fixture(scope="module")
def served() -> Iterator[Handler]:
    with handler() as served:
        yield served


@pytest.fixture(scope="module")
def run(
    running: Sandbox, served: Handler, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Report]:
    """Return a function that runs scripts in a folder with the SDK."""
    folder = tmp_path_factory.mktemp("scripts")
    for script in SCRIPTS.glob("*.mjs"):
        shutil.copy(script, folder)
    installed = environments.node("node_handler", PACKAGE)
    (folder / "node_modules").symlink_to(installed / "node_modules")

    def run(script: str, **variables: str) -> Report:
        done = subprocess.run(
            ["node", str(folder / f"{script}.mjs")],
            env={
                **environments.calling_loopback(),
                "CONNECT_URL": f"{running.url}/public/v1",
                "VENDOR_KEY": running.vendor_key,
                "PROVIDER_KEY": running.provider_key,
                "HANDLER_URL": f"{served.url}{script}",
                "SECRET": orders.SECRET,
                **variables,
            },
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        report: Report = json.loads(done.stdout)
        return report

    return run


@pytest.fixture(scope="module")
def queues(run: Callable[..., Report]) -> Report:
    return run("queues")


@pytest.fixture(scope="module")
def directory(run: Callable[..., Report]) -> Report:
    return run("directory")


@pytest.fixture(scope="module")
def zapier(run: Callable[..., Report]) -> Report:
    return run("zapier")


@pytest.fixture(scope="module")
def missing(run: Callable[..., Report]) -> Report:
    return run("absent", METHODS=json.dumps(sorted(absent())))


def test_every_method_works_or_is_listed_as_absent(
    queues: Report, directory: Report, zapier: Report, missing: Report
) -> None:
    methods = set(missing["methods"])
    assert len(methods) > 200
    worked = {
        name
        for report in (queues, directory, zapier)
        for name, outcome in report["called"].items()
        if outcome["worked"]
    }
    assert worked.isdisjoint(absent())
    assert worked | absent() == methods


def test_absent_method_raises_an_api_error(missing: Report) -> None:
    assert missing["called"].keys() >= absent()
    for name in absent():
        outcome = missing["called"][name]
        assert outcome["worked"] == 0, name
        assert outcome["refused"] in (
            [["APIError", 404, "NFND_000"]],
            [["APIError", 405, "REQ_405"]],
        )


@pytest.mark.openapi
def test_absent_method_is_not_in_connects_document(missing: Report) -> None:
    if MISSING:
        pytest.skip(f"{MISSING} name no document: what the SDK may call is unchecked")
    document = connects()
    called = {(method, route) for method, route in missing["routes"]}
    assert len(called) == len(absent())
    # Existing calls that are not served; ABSENT has the reasons.
    assert called & set(document.operations) == {
        ("DELETE", "/conversations/{}"),
        ("POST", "/accounts"), ("PUT", "/accounts/{}"), ("DELETE", "/accounts/{}"),
        ("POST", "/accounts/{}/users"), ("PUT", "/accounts/{}/users/{}"),
        ("DELETE", "/accounts/{}/users/{}"),
    }  # fmt: skip


class TestQueues:
    def test_purchase_is_inquired_and_approved(self, queues: Report) -> None:
        result = queues["fulfillment"]
        states = [result[name]["status"] for name in ("created", "inquired", "pended", "approved")]
        assert states == ["pending", "inquiring", "pending", "approved"]
        assert result["created"]["id"] in result["results"]
        params = {p["id"]: p for p in result["inquired"]["asset"]["params"]}["contact_email"]
        answered = {p["id"]: p for p in result["pended"]["asset"]["params"]}["contact_email"]
        assert params["value_error"] == "Nobody reads this."
        assert (answered["value"], answered["value_error"]) == ("it@example.com", "")
        assert (result["inquired"]["note"], result["updated"]["note"]) == ("Asked.", "Filled.")
        assert result["read"] == result["approved"]
        assert result["asset"]["status"] == "active"
        assert (result["again"]["status"], result["again"]["error_code"]) == (400, "REQ_003")

    def test_failing_requires_a_reason(self, queues: Report) -> None:
        result = queues["failure"]
        assert result["without"]["errors"] == ["Missed fields: reason."]
        assert (result["failed"]["status"], result["failed"]["reason"]) == (
            "failed",
            "No capacity.",
        )

    def test_subscription_lifecycle(self, queues: Report) -> None:
        states = {name: row["asset"]["status"] for name, row in queues["later"].items()}
        assert states == {
            "purchase": "active", "suspend": "suspended", "resume": "active", "change": "active",
            "cancel": "terminated",
        }  # fmt: skip
        assert {row["status"] for row in queues["later"].values()} == {"approved"}
        assert queues["later"]["change"]["asset"]["items"][0]["quantity"] == "7"

    def test_level_2_is_set_up_before_level_1_and_the_order(self, queues: Report) -> None:
        result = queues["tier_configs"]
        assert result["order"]["status"] == result["waiting"]["status"] == "tiers_setup"
        assert (result["inquired"]["status"], result["inquired"]["notes"]) == (
            "inquiring",
            "Asked.",
        )
        assert result["rendered"]["template"]["id"] == "TL-561-036-001"
        assert "Willow Masters" in result["rendered"]["template"]["representation"]
        assert (result["released"]["status"], result["approved"]["status"]) == (
            "inquiring", "approved",
        )  # fmt: skip
        assert result["order_after"]["status"] == "pending"
        assert result["configs"] == [result["config"]["id"]]

    def test_update_of_a_configuration_fails(self, queues: Report) -> None:
        result = queues["tier_configs"]
        assert (result["update"]["type"], result["failed"]["status"]) == ("update", "failed")
        assert (result["failed"]["reason"], result["config"]["status"]) == ("Not ours.", "active")
        values = {p["id"]: p["value"] for p in result["config"]["params"]}
        assert values["partner_agreement"] == "NSS-1"
        assert [queues["tier_setup"][name]["status"] for name in ("created", "failed")] == [
            "pending", "failed",
        ]  # fmt: skip

    def test_tier_account_requests_are_accepted_and_ignored(self, queues: Report) -> None:
        result = queues["tier_accounts"]
        assert (result["first"]["status"], result["read"]) == ("pending", result["first"])
        assert result["first"]["id"] in result["pending"]
        assert (result["accepted"]["status"], result["ignored"]["status"]) == (
            "accepted",
            "ignored",
        )
        assert result["ignored"]["reason"] == "Not kept."
        assert result["version"]["tax_id"] == "93-5550146"
        assert [row["version"] for row in result["versions"]] == [3, 2, 1]
        assert result["unchanged"]["error_code"] == "TAR_004"
        assert result["results"] == [result["before"]["id"]]

    def test_listing_is_completed_and_another_canceled(self, queues: Report) -> None:
        result = queues["listing"]
        assert (result["created"]["state"], result["refined"]["state"]) == ("draft", "draft")
        assert result["created"]["id"] in result["deploying"]
        assert (result["completed"]["state"], result["completed"]["listing"]["status"]) == (
            "completed", "listed",
        )  # fmt: skip
        assert (result["canceled"]["state"], result["gone"]["status"]) == ("canceled", 404)

    def test_billing_requests_of_both_parties(self, queues: Report) -> None:
        result = queues["billing"]
        for row, kind in ((result["provided"], "provider"), (result["vended"], "vendor")):
            assert row["type"] == kind
            assert (row["asset"]["id"], row["period"]["uom"]) == (result["asset"]["id"], "monthly")
            assert row["period"]["to"] == "2026-11-01T00:00:00+00:00"
        assert result["read"] == result["vended"]
        assert result["recurring"]["id"] == result["asset"]["id"]
        assert (result["hidden"]["status"], result["hidden"]["error_code"]) == (404, "NFND_000")
        assert result["vended"]["id"] in result["seen_by_vendor"]
        assert result["provided"]["id"] not in result["seen_by_vendor"]
        assert result["after"]["attributes"]["provider"] == {"invoice": "NL-1"}
        assert result["attributes"]["provider"] == {"invoice": "NL-1"}


class TestDirectory:
    def test_product_and_its_parts(self, directory: Report) -> None:
        result = directory["product"]
        for row in (result, result["parts"]["actions"], result["parts"]["parameters"]):
            assert row["read"] == row["created"]
            assert row["created"]["id"] in row["results"]
        assert result["changed"]["short_description"] == "Stored copies."
        assert result["parts"]["actions"]["changed"]["title"] == "Console"
        assert result["parts"]["parameters"]["changed"]["hint"] == "Which one."
        assert result["value"]["value"] == result["values"][0]["value"] == "https://api.example.com"
        assert result["items"] == ["PRD-814-505-018-0001", "PRD-814-505-018-0002"]
        assert result["templates"] == [f"TL-213-870-00{n}" for n in (1, 2, 3)]

    def test_connection_is_made_and_changed(self, directory: Report) -> None:
        result = directory["product"]["connection"]
        assert result["read"] == result["created"]
        assert result["changed"] == {**result["created"], "type": "production"}
        assert result["results"] == result["by_product"] == [result["created"]["id"]]

    def test_inventory_helper(self, directory: Report) -> None:
        result = directory["inventory"]
        assert result["parameters"] == ["region", "contact_email", "activation_id", "console_url"]
        assert "tenant_id" in result["fulfillment"]
        assert result["results"] == ["partner_agreement", "partner_tenant"]
        assert len(result["templates"]) == 9
        assert result["asset_templates"] == [f"TL-561-034-00{n}" for n in (1, 2, 3)]
        claims = jwt.decode(
            result["link"].partition("jwt=")[2], options={"verify_signature": False}
        )
        assert (claims["action_id"], claims["asset_id"]) == ("sign_in", result["asset"])
        assert result["landed"] == 200

    def test_accounts_and_hubs(self, directory: Report) -> None:
        result = directory["places"]
        assert [rows[0]["id"] for rows in result["accounts"]] == ["VA-610-138", "PA-318-442"]
        assert result["users"] == [result["user"]]
        assert result["user"]["name"] == "Maya Ortiz"
        assert result["account"]["name"] == "Nimbus Inc"
        hub = result["hub"]
        assert hub["read"] == hub["created"] and hub["created"]["id"] in hub["results"]
        assert (hub["changed"]["name"], hub["created"]["instance"]["type"]) == ("Store", "API")
        assert (result["visible"], result["hub_by_vendor"]) == (["HB-7710-3391"], "Northland Hub")
        assert result["hub_of_another"]["status"] == 403

    def test_tier_account_has_versions_and_is_deleted(self, directory: Report) -> None:
        result = directory["tier_accounts"]
        assert [row["version"] for row in result["versions"]] == [2, 1]
        assert result["changed"]["tax_id"] == "93-1"
        assert result["after"]["events"]["decommissioned"]["at"]

    def test_conversations(self, directory: Report) -> None:
        result = directory["conversations"]
        assert result["talk"]["instance_id"] == result["request"]
        assert result["results"] == [result["talk"]["id"]]
        assert result["read"] == result["message"]
        assert (result["message"]["text"], result["edited"]["text"]) == (
            "Working on it.",
            "Thanks.",
        )
        assert result["listed"][-2:] == [result["message"]["id"], result["edited"]["id"]]
        assert [row["id"] for row in result["whole"]["messages"]] == result["listed"]
        assert result["begun"]["instance_id"] == result["draft"]

    def test_webhook_is_created_triggered_and_deleted(
        self, directory: Report, served: Handler
    ) -> None:
        result = directory["webhooks"]
        assert result["triggered"] == [200, ""]
        assert result["after"]["stats"]["success_triggers"] == 1
        assert result["changed"]["label"] == "Changed"
        assert result["created"]["id"] in result["results"]
        assert (result["hidden"]["status"], result["gone"]["status"]) == (404, 404)
        calls = [request for request in served.received if request.path == "/directory"]
        assert [request.json["webhook_id"] for request in calls] == [result["created"]["id"]]


Row = dict[str, Any]
# The rows that each query of directory.mjs must find, as predicates.
QUERIES: dict[str, Callable[[Row, Report], bool]] = {
    "plain": lambda r, f: (r["status"], r["asset"]["product"]["id"]) == ("pending", orders.PLAIN),
    "in": lambda r, f: r["status"] in ("pending", "inquiring"),
    "out": lambda r, f: r["status"] not in ("approved", "failed"),
    "ne": lambda r, f: r["type"] != "purchase",
    "or": lambda r, f: r["status"] == "failed" or r["type"] == "change",
    "and": lambda r, f: r["status"] == "approved" and r["type"] != "purchase",
    "or_of_field": lambda r, f: r["status"] in ("failed", "pending"),
    "not": lambda r, f: r["status"] != "approved",
    "like": lambda r, f: "Secure Su" in r["asset"]["product"]["name"],
    "ilike": lambda r, f: r["asset"]["product"]["name"].startswith("Nimbus M"),
    "range": lambda r, f: f["early"] <= r["created"] <= f["late"],
    "since": lambda r, f: f["early"] <= r["created"] < f["late"],
    "spaces": lambda r, f: r["asset"]["product"]["name"] == "Nimbus Backup",
    "empty": lambda r, f: not r["reason"] and "planned_date" in r,
}


@pytest.mark.parametrize("name", QUERIES)
def test_query_of_the_sdk_finds_the_expected_rows(directory: Report, name: str) -> None:
    result = directory["queries"]
    expected = {row["id"] for row in result["all"] if QUERIES[name](row, result)}
    assert 0 < len(expected) < len(result["all"])
    assert set(result["results"][name]) == expected


def test_order_pages_and_select(directory: Report) -> None:
    result = directory["queries"]
    assert set(result["results"]) == set(QUERIES)
    assert [r["id"] for r in result["all"]] == [
        r["id"] for r in sorted(
            sorted(result["all"], key=lambda r: r["id"]), key=lambda r: r["created"], reverse=True
        )
    ]  # fmt: skip
    assert "note" not in result["one"] and "items" not in result["one"]["asset"]


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("missing", 404, "NFND_000"),
        ("invalid", 400, "VAL_001"),
        ("bad_query", 400, "VAL_001"),
        ("gte", 400, "VAL_001"),
        ("not_yours", 403, "AUTH_002"),
        ("no_key", 401, "AUTH_001"),
        ("method", 405, "REQ_405"),
    ],
)
def test_refusal_raises_an_api_error(directory: Report, name: str, status: int, code: str) -> None:
    # The SDK builds an APIError for exactly `application/json` only.
    error = directory["errors"][name]
    assert error["api_error"] is True
    assert (error["status"], error["error_code"]) == (status, code)
    assert error["errors"] and all(isinstance(text, str) and text for text in error["errors"])
    assert error["json"] == {"error_code": code, "errors": error["errors"]}


class TestZapier:
    def test_order_triggers_a_zap(self, zapier: Report, served: Handler) -> None:
        result = zapier["subscription"]
        assert (result["created"]["type"], result["created"]["data"]) == ("event", {})
        assert result["after"]["stats"]["success_triggers"] == 1
        assert result["gone"]["status"] == 404
        calls = [request for request in served.received if request.path == "/zapier"]
        assert [request.json["webhook_id"] for request in calls] == [result["created"]["id"]]
        assert set(calls[0].json) == {
            "webhook_id", "webhook_name", "object_class", "account_id", "product_id", "api_url",
            "triggered_at", "last_success_at", "last_failure_at", "processing_timeout", "data",
        }  # fmt: skip

    def test_order_names_neither_product_nor_marketplace(self, zapier: Report) -> None:
        ordered = zapier["subscription"]["ordered"]
        assert ordered["asset"]["product"]["id"] == orders.PLAIN
        assert ordered["marketplace"]["id"] == "MP-40117"
        assert ordered["asset"]["items"][0]["quantity"] == "3"
        assert zapier["order"]["bought"] == zapier["order"]["asset"]
        assert zapier["order"]["mpn"] == "NB-SEAT"

    def test_tier_account_is_named_by_its_external_uid(self, zapier: Report) -> None:
        result = zapier["tier_account"]
        assert result["created"]["account"]["id"] == result["account"]
        assert result["created"]["status"] == "pending"
        assert result["created"]["account"]["contact_info"]["city"] == "Salem"

    def test_messages_are_part_of_the_conversation(self, zapier: Report) -> None:
        result = zapier["messages"]
        assert {row["id"]: row["text"] for row in result["results"]}[
            result["sent"]
        ] == "From a zap."

    def test_form_requests_visible_parameters(self, zapier: Report) -> None:
        result = zapier["form"]
        shown = [
            row["id"]
            for row in result["all"]
            if (row["phase"], row["scope"]) == ("ordering", "asset")
            and (row["constraints"]["required"] or not row["constraints"]["hidden"])
        ]
        assert result["ordering"] == result["by_id"] == shown
        assert len(result["tiers"]) == 4

    def test_its_choices(self, zapier: Report) -> None:
        result = zapier["choices"]
        assert set(result["products"]) >= {orders.PLAIN, SUITE}
        assert set(result["visible"]) >= {orders.PLAIN, SUITE}
        assert "HB-7710-3391" in result["hubs"]
        assert result["account"] == "VA-610-138"
        # The assignee of a helpdesk case.
        assert result["users"] == ["UR-426-913-070"]

    def test_each_filter_of_its_searches(self, zapier: Report) -> None:
        refused: dict[str, set[str]] = {}
        for name, fields in zapier["searches"].items():
            for field, (value, count) in fields.items():
                if isinstance(count, list):
                    assert count == [f"Unknown property: {field}."]
                    refused.setdefault(name, set()).add(field)
                else:
                    nobodys = str(value).endswith("-0") or value in ("n", "u", "1")
                    assert (count == 0) == nobodys, (name, field, value, count)
        assert refused == UNKNOWN_FILTERS


@pytest.mark.parametrize("number", range(len(SHOWN)))
def test_code_on_the_page_runs(running: Sandbox, tmp_path: Path, number: int) -> None:
    installed = environments.node("node_handler", PACKAGE)
    (tmp_path / "node_modules").symlink_to(installed / "node_modules")
    (tmp_path / "var").symlink_to(running.data_dir)
    (tmp_path / "shown.mjs").write_text(SHOWN[number])
    done = subprocess.run(
        ["node", "shown.mjs"],
        cwd=tmp_path,
        env=environments.calling_loopback(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_page_has_the_number_of_methods(missing: Report) -> None:
    total, gone = len(missing["methods"]), len(absent())
    message = f"all of its {total} methods"
    page = " ".join(PAGE.read_text().split())
    assert message in page
    assert f"{total - gone} work, and {gone} are calls" in page
