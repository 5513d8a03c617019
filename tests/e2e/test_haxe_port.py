"""CloudBlue's connect-sdk-haxe-port 22.2.0 (2021), unmodified: its Processor and its models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import environments
from tests.e2e.test_openapi_client import run
from tests.processes import Sandbox, sandbox

pytestmark = pytest.mark.clients

Report = dict[str, Any]
SKIPPED = "Skipping request because an exception was thrown: "
SUITE, METER, PLAIN = "PRD-362-917-440", "PRD-590-284-731", "PRD-814-505-018"


@pytest.fixture(scope="module")
def interpreter() -> Path:
    # Python 3.12 cannot import the pinned version of urllib3.
    return environments.python("haxe_port", "connect-sdk-haxe-port==22.2.0\n", newest=(3, 11))


@pytest.fixture(scope="module")
def running(interpreter: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        yield running
        # test_restart tests the clean stop, which takes seconds.
        running.process.kill()


@pytest.fixture(scope="module")
def flows(interpreter: Path, running: Sandbox) -> Report:
    return run(interpreter, running, "haxe_flows")


@pytest.fixture(scope="module")
def models(interpreter: Path, running: Sandbox) -> Report:
    return run(interpreter, running, "haxe_models")


@pytest.fixture(scope="module")
def usage(interpreter: Path, running: Sandbox) -> Report:
    return run(interpreter, running, "haxe_usage")


@pytest.mark.parametrize(
    ("way", "status", "asset_status", "message"),
    [
        ("template", "approved", "active", "Request approved using template TL-213-870-001."),
        ("tile", "approved", "active", "Request approved using custom activation tile."),
        ("refuse", "failed", "terminated", "Request failed: Sold out."),
        ("ask", "inquiring", "processing", "Request inquired."),
        ("crash", "pending", "processing", f"{SKIPPED}the backend is away"),
        ("unprepared", "pending", "processing", f"{SKIPPED}no connection to the backend"),
    ],
)
def test_order_gets_the_status_of_its_flow_and_a_message(
    flows: Report, way: str, status: str, asset_status: str, message: str
) -> None:
    result = flows["orders"][way]
    assert (result["status"], result["asset_status"]) == (status, asset_status)
    assert result["messages"][0] == "Created in status pending."
    assert result["messages"][-1] == message


@pytest.mark.parametrize("way", ["note", "later", "stop"])
def test_request_without_outcome_stays_pending_without_message(flows: Report, way: str) -> None:
    result = flows["orders"][way]
    assert (result["status"], result["messages"]) == ("pending", ["Created in status pending."])


def test_changes_of_the_model_are_sent_before_the_action(flows: Report) -> None:
    orders = flows["orders"]
    assert orders["template"]["activation_id"] == "id-of-template"
    assert orders["tile"]["activation_id"] == "id-of-tile"
    assert orders["tile"]["key"] == "# Welcome"
    assert orders["ask"]["email_error"] == "Nobody reads this."
    assert orders["refuse"]["reason"] == "Sold out"
    assert orders["note"]["note"] == "Seen by the flow."


def test_distributor_answers_an_inquiry_by_a_flow(flows: Report) -> None:
    assert flows["answered"] == ["pending", "people@example.com"]
    assert set(flows["released"].values()) == {"pending"}


def test_steps_run_until_one_ends_the_request(flows: Report) -> None:
    # All except the order whose flow could not be set up.
    assert flows["noted"] == len(flows["orders"]) - 1 + len(flows["tiers"])
    assert flows["after"] == ["note", "note"]


@pytest.mark.parametrize(
    ("way", "status", "configuration", "order"),
    [
        ("template", "approved", "active", "pending"),
        ("refuse", "failed", "active", "failed"),
        ("ask", "inquiring", "processing", "tiers_setup"),
        ("note", "pending", "processing", "tiers_setup"),
        ("later", "pending", "processing", "tiers_setup"),
    ],
)
def test_setup_gets_the_status_of_its_flow(
    flows: Report, way: str, status: str, configuration: str, order: str
) -> None:
    result = flows["tiers"][way]
    assert (result["status"], result["configuration"]) == (status, configuration)
    assert result["order"] == order


def test_flow_stores_its_results_on_the_setup(flows: Report) -> None:
    tiers = flows["tiers"]
    assert tiers["template"]["tenant"] == "pt-1"
    assert tiers["ask"]["error"] == "We know no such agreement."
    assert tiers["refuse"]["reason"] == "Not our partner"
    assert tiers["note"]["notes"] == "Seen by the flow."


def test_listings_and_usage_files_go_through_flows(flows: Report) -> None:
    assert (flows["listings"], flows["listed"]) == (["MP-40117"], 3)
    statuses, read, ready = flows["files"]
    # The last processor used an invalid filter, and logged the error.
    assert (statuses, read) == (["ready"], ready)
    assert ready > 0


def test_flow_reports_usage_and_another_submits_it(usage: Report) -> None:
    assert [row[:2] for row in usage["registered"]] == [["draft", "USD"]] * 4
    assert usage["uploaded"] is True
    assert usage["submitted"] == ["pending", "pending"]
    assert usage["records"] == [["NM-CALLS-PPU", "calls", n] for n in (1, 2, 3)]


def test_both_parties_run_actions_of_usage_files(usage: Report) -> None:
    assert usage["accepted"] == ["accepted", "Looks right."]
    assert usage["rejected"] == ["rejected", "Counted twice."]
    assert (usage["reprocessed"], usage["closed"]) == ("accepted", "closed")
    assert (usage["deleted"], usage["too_late"]) == ([True, "deleted"], False)
    assert usage["updated"] == ["Calls of another day", True]
    assert usage["again"] == [True, "ready"]


def test_usage_records_and_the_workbooks(usage: Report) -> None:
    assert (usage["record"], usage["record_status"]) == (["closed", "I-1"], "rejected")
    # The client's field `reconciliation_file` is read: the error is that the sheet is empty.
    message = "recon_file: No row of the sheet marks a record as billed."
    assert usage["reconciled"] == {"error_code": "VAL_001", "errors": [message]}
    assert usage["template"] is usage["link"] is True
    # The client requests the template of a product by the file's id.
    assert usage["of_file"]["error_code"] == "NFND_000"


def test_both_parties_read_every_collection(models: Report) -> None:
    vendor, distributor = models["vendor"], models["distributor"]
    assert set(vendor) == set(distributor)
    assert len(vendor) == 14 + 3 * 6
    empty = {name for name, rows in vendor.items() if not rows}
    assert {name.partition(" ")[2] for name in empty} == {"actions", "configurations"}
    # Only the provider sees its billing requests, and their conversations.
    for name in set(vendor) - {"Account", "SubscriptionRequest", "Conversation"}:
        assert vendor[name] == distributor[name]
    assert (vendor["Account"], distributor["Account"]) == (["VA-610-138"], ["PA-318-442"])
    assert distributor["SubscriptionRequest"][0].startswith("BRP-")


EXPECTED = {
    "equal": lambda a, at: a[2] == "active",
    "not_equal": lambda a, at: a[2] != "active",
    "in": lambda a, at: a[1] in (SUITE, METER),
    "out": lambda a, at: a[1] == PLAIN,
    "like": lambda a, at: a[1] == METER,
    "ilike": lambda a, at: a[1] == SUITE,
    "greater": lambda a, at: a[3] > at,
    "since": lambda a, at: a[3] >= at,
    "lesser": lambda a, at: a[3] < at,
    "until": lambda a, at: a[3] <= at,
}


@pytest.mark.parametrize("name", EXPECTED)
def test_query_finds_the_expected_rows(models: Report, name: str) -> None:
    queries = models["queries"]
    rows, at = queries["everything"], queries["moment"]
    expected = {row[0] for row in rows if EXPECTED[name](row, at)}
    assert set(queries[name]) == expected
    # A query that matches no rows or all rows would prove nothing.
    assert 0 < len(expected) < len(rows)


def test_order_pages_and_plain_queries(models: Report) -> None:
    queries = models["queries"]
    by_id = sorted(row[0] for row in queries["everything"])
    assert queries["paged"] == by_id[1:3]
    assert queries["ordering"] == by_id[::-1]
    assert queries["bare"] is None
    assert queries["plain"] == queries["forced"] != []


def test_operations_of_a_request(models: Report) -> None:
    result = models["requests"]
    assert result["created"] == ["pending", "purchase", True]
    # The client names the assignee in the path.
    assert result["assigned"] == ["UR-426-913-070"] * 2
    assert (result["updated"], result["unchanged"]) == (["Manually.", "ws-1"], True)
    assert result["inquired"] == ["inquiring", "Which?"]
    assert (result["pended"], result["approved"]) == ("pending", "active")
    assert result["new"] == ["NM-PLATFORM"]
    assert result["lookups"] == ["SKU_PLATFORM", "5", False]
    assert (result["changed"], result["removed"]) == (["9"], 0)
    assert result["requests"] == ["change", "purchase"]
    assert result["rendered"] == "# Nimbus Meter"


def test_missing_object_is_none(models: Report) -> None:
    # An order without required parameters is not refused: its reseller is set up first.
    assert models["requests"]["incomplete"] == "tiers_setup"
    assert models["requests"]["unknown"] == [None, None, None]


def test_operations_of_a_tier_configuration_request(models: Report) -> None:
    result = models["tiers"]
    assert result["created"] == ["pending", "setup"]
    assert result["assigned"] == [True, "Sandbox vendor token"]
    assert result["unassigned"] == [True, None]
    assert (result["inquired"], result["pended"]) == ([True, "inquiring"], [True, "pending"])
    assert result["updated"] == ["Checked.", "pt-9"]
    assert (result["approved"], result["again"]) == ([True, "approved"], False)
    assert (result["config"], result["none"]) == ([True, "active", "pt-9"], None)
    assert result["update"] == ["update", True, "No."]
    assert result["of_asset"] == [True, None]


def test_operations_of_listings(models: Report) -> None:
    result = models["listings"]
    assert (result["created"], result["submitted"]) == ("draft", [True, "reviewing"])
    assert result["not_the_vendors"] is False
    assert (result["assigned"], result["refined"]) == ([True, True], [True, "draft"])
    assert result["deploying"] == [True, "deploying"]
    assert result["completed"] == [True, "completed"]
    assert (result["put"], result["back"]) == ("unlisted", "listed")
    assert result["new"] == ["new", True, "canceled"]


def test_operations_of_billing_requests(models: Report) -> None:
    result = models["billing"]
    assert result["created"] == ["provider", True, 1]
    assert result["period"] == {
        "from": "2026-11-01T00:00:00+00:00", "to": "2026-12-01T00:00:00+00:00", "delta": 1,
        "uom": "monthly",
    }  # fmt: skip
    assert result["updated"] is True
    assert result["attributes"] == {"provider": {"external_id": "INV-2"}}
    assert result["hidden"] is None
    # The client loses `period.from` of a body that it parses.
    assert result["lost"] is None


def test_vendor_writes_product_data(models: Report) -> None:
    result = models["products"]
    assert result["parameter"] == ["cost_unit", "Cost unit (internal)", False]
    assert result["deleted"] == [True, None]
    assert result["configured"] == "https://haxe.nimbus.example.com"
    assert result["actions"] == ["Sign in", "Partner console"]
    assert result["filtered"] == [f"{SUITE}-0002"]


def test_conversation_of_a_draft(models: Report) -> None:
    messages = ["May we have a discount?"]
    assert models["conversations"] == {
        "draft": "draft", "begun": ["Prices", True], "messages": messages, "visible": messages,
        "creator": "Sandbox provider token",
    }  # fmt: skip


def test_operations_outside_connects_document_are_not_served(models: Report) -> None:
    assert models["products"]["not_served"] == {
        "versions": 0, "version": None, "agreements": 0, "media": [2, None],
    }  # fmt: skip
    codes = {call: error["error_code"] for call, error in models["refusals"].items()}
    assert codes == {
        "query": "VAL_001", "accounts": "REQ_405",
    }  # fmt: skip
    assert models["categories"] and all(models["categories"])
    assert models["marketplace"] is False


def test_agreements_are_listed(models: Report) -> None:
    assert models["agreements"] == ["AGD-000-040-117"]
