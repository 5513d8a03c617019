"""CloudBlue's connect-sdk 22.0 (2021), unmodified: its automations, its directory, every call."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import environments
from tests.e2e.test_openapi_client import run
from tests.processes import Sandbox, sandbox

pytestmark = pytest.mark.clients

REQUIREMENTS = "connect-sdk==22.0\nopenpyxl==3.1.5\n"
Report = dict[str, Any]
SUITE, METER, PLAIN = "PRD-362-917-440", "PRD-590-284-731", "PRD-814-505-018"


@pytest.fixture(scope="module")
def interpreter() -> Path:
    # Python 3.12 cannot import the pinned versions of urllib3 and six.
    return environments.python("connect_sdk", REQUIREMENTS, newest=(3, 11))


@pytest.fixture(scope="module")
def running(interpreter: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        yield running
        # test_restart tests the clean stop, which takes seconds.
        running.process.kill()


@pytest.fixture(scope="module")
def fulfillment(interpreter: Path, running: Sandbox) -> Report:
    return run(interpreter, running, "sdk_fulfillment")


@pytest.fixture(scope="module")
def tiers(interpreter: Path, running: Sandbox) -> Report:
    return run(interpreter, running, "sdk_tiers")


@pytest.fixture(scope="module")
def usage(interpreter: Path, running: Sandbox) -> Report:
    return run(interpreter, running, "sdk_usage")


@pytest.fixture(scope="module")
def directory(interpreter: Path, running: Sandbox) -> Report:
    return run(interpreter, running, "sdk_directory")


@pytest.mark.parametrize(
    ("way", "status", "asset_status", "result"),
    [
        ("template", "approved", "active", '{"id":"PR'),
        ("looked_up", "approved", "active", '{"id":"PR'),
        ("tile", "approved", "active", '{"id":"PR'),
        ("rendered", "approved", "active", '{"id":"PR'),
        ("inquire_by", "inquiring", "processing", '{"id":"PR'),
        ("refuse", "failed", "terminated", '{"id":"PR'),
        ("later", "pending", "processing", "skip"),
        ("forgotten", "pending", "processing", ""),
        ("unready", "pending", "processing", ""),
    ],
)
def test_order_gets_the_status_of_its_processor(
    fulfillment: Report, way: str, status: str, asset_status: str, result: str
) -> None:
    row = fulfillment["first"][way]
    assert (row["status"], row["asset_status"]) == (status, asset_status)
    assert row["result"] == result


@pytest.mark.parametrize(
    ("way", "message"),
    [
        ("template", "Activated using template TL-213-870-001."),
        ("looked_up", "Activated using template TL-213-870-001."),
        ("tile", "Activated using custom activation tile."),
        ("inquire_by", "Please correct the address."),
        ("refuse", "We are sold out."),
        ("later", "Not yet."),
    ],
)
def test_processor_writes_to_the_conversation(fulfillment: Report, way: str, message: str) -> None:
    result = fulfillment["first"][way]
    assert result["messages"][0] == "Created in status pending."
    assert (result["messages"][-1], result["creators"][-1]) == (message, "Sandbox vendor token")


def test_processor_without_message_writes_nothing(fulfillment: Report) -> None:
    for way in ("forgotten", "unready"):
        assert fulfillment["first"][way]["messages"] == ["Created in status pending."]


def test_processor_stores_its_results_on_the_order(fulfillment: Report) -> None:
    first, orders = fulfillment["first"], fulfillment["orders"]
    assert first["template"]["activation_id"] == orders["template"]
    assert first["template"]["assignee"].startswith("su-")
    assert first["later"]["assignee"] == ""
    assert first["tile"]["tile"] == "# Welcome\n\nYour key is **42**."
    assert first["inquire_by"]["email_error"] == "Nobody reads this."
    assert first["refuse"]["reason"] == "We are sold out."


def test_template_is_rendered_with_the_request(fulfillment: Report) -> None:
    tile = fulfillment["first"]["rendered"]["tile"]
    order = fulfillment["orders"]["rendered"]
    assert "Hello Ada," in tile
    assert f"`{order}`" in tile
    assert "{{" not in tile


def test_skipped_request_is_processed_by_the_next_run(fulfillment: Report) -> None:
    orders, now = fulfillment["orders"], fulfillment["now"]
    assert fulfillment["again"] == sorted(orders[w] for w in ("later", "forgotten", "unready"))
    assert {now[way] for way in ("later", "forgotten", "unready")} == {"approved"}


def test_distributor_answers_an_inquiry(fulfillment: Report) -> None:
    assert fulfillment["answered"] == {
        "note": "The address is corrected.", "status": "inquiring", "email": "people@example.com",
    }  # fmt: skip


def test_model_can_be_ordered_changed_and_suspended(fulfillment: Report) -> None:
    assert fulfillment["model"] == {"created": "pending", "bought": "active", "uid": "sdk-model"}
    assert fulfillment["new"] == [fulfillment["by_mpn"]] == [fulfillment["by_global_id"]]
    assert fulfillment["changed"] == [[8, 3]]
    assert fulfillment["untouched"] == [0, 0]
    assert fulfillment["suspended"] == "suspended"
    assert sorted(fulfillment["asset_requests"]) == ["change", "purchase", "suspend"]
    assert fulfillment["migration"] == [False, False]


def test_requests_are_searched_by_words_and_by_queries(fulfillment: Report) -> None:
    assert fulfillment["searched"] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("again", "REQ_003"),
        ("reason", "REQ_003"),
        ("nobody", "VAL_001"),
        ("twice", "REQ_009"),
        ("missing", "NFND_000"),
    ],
)
def test_refusal_has_code_and_messages(fulfillment: Report, call: str, code: str) -> None:
    error = fulfillment["refusals"][call]
    assert error["error_code"] == code
    assert all(isinstance(text, str) and text for text in error["errors"])


@pytest.mark.parametrize(
    ("way", "status", "configuration", "order", "result"),
    [
        ("template", "approved", "active", "pending", ""),
        ("tile", "approved", "active", "pending", ""),
        ("inquire_by", "inquiring", "processing", "tiers_setup", ""),
        ("refuse", "failed", "active", "failed", ""),
        ("later", "pending", "processing", "tiers_setup", "skip"),
        ("forgotten", "pending", "processing", "tiers_setup", ""),
    ],
)
def test_setup_gets_the_status_of_its_processor(
    tiers: Report, way: str, status: str, configuration: str, order: str, result: str
) -> None:
    row = tiers["processed"][way]
    assert (row["created"], row["waiting"]) == ("inquiring", "pending")
    assert (row["status"], row["configuration"]) == (status, configuration)
    assert (row["order_was"], row["order"]) == ("tiers_setup", order)
    assert row["result"] == result


def test_processor_stores_its_results_on_the_setup(tiers: Report) -> None:
    processed = tiers["processed"]
    assert tiers["handled"] == len(processed)
    assert processed["template"]["template"] == "TL-561-035-001"
    assert processed["template"]["tenant"].startswith("TCR-")
    assert processed["inquire_by"]["agreement_error"] == "We know no such agreement."
    assert processed["refuse"]["reason"] == "Not our partner."


def test_actions_of_a_setup_return_what_the_client_expects(tiers: Report) -> None:
    responses = tiers["answers"]
    for call in ("assign", "unassign", "inquire", "pend", "fail"):
        assert responses[call] == ["", 204]
    assert tiers["approved"][0] == responses["approve_by_template"][1] == 200
    assert responses["approve_by_template"][0].startswith('{"template":{')
    assert tiers["inquired"] == "inquiring"
    assert tiers["update"] == ["update", "pending", "failed", "Not now.", "active"]


def test_assignment_without_user_is_to_the_caller(tiers: Report) -> None:
    assert tiers["assignee"] == "Sandbox vendor token"
    assert tiers["unassigned"] is None


def test_configuration_is_found_by_account_and_product(tiers: Report) -> None:
    assert tiers["of_account"] == [[tiers["config_id"], 1, "later"]] * 2
    assert tiers["config"] == "Configuration of later"
    assert tiers["tenant"] == "manual"


def test_changes_of_accounts_are_accepted_ignored_and_skipped(tiers: Report) -> None:
    assert tiers["accounts"] == {
        "template": ["accepted", "", 2],
        "tile": ["ignored", "Not kept.", 2],
        "later": ["pending", "", 2],
    }
    assert tiers["seen_accounts"] == 3
    assert tiers["by_call"] == ["accepted", "new-later", SUITE]
    assert tiers["none_pending"] == []
    assert tiers["account"] == "new-later"


def test_refusals_of_the_tiers(tiers: Report) -> None:
    codes = {call: error["error_code"] for call, error in tiers["refusals"].items()}
    assert codes == {
        "accept": "REQ_003", "vendor_setup": "VAL_001", "approve": "REQ_003",
        "inquire": "REQ_003",
    }  # fmt: skip


def test_usage_is_reported_for_each_listing(usage: Report) -> None:
    assert [row[1:] for row in usage["listings"]] == [
        [METER, "CRD-41020-88713-20954", "PA-318-442"]
    ]
    assert set(usage["created"].values()) == {"draft"}
    assert usage["outcomes"][0] == "success"
    assert usage["stats"]["accept"] == usage["stats"]["skip"] == [3, 3]
    # The client sends an empty description if there is none.
    assert usage["described"] == ["", "Calls."]


def test_usage_files_go_through_every_status(usage: Report) -> None:
    assert usage["states"] == {
        "submit": {"accept": "pending", "reject": "pending", "close": "pending"},
        "delete": {"delete": "deleted"},
        "skip": {"skip": "ready"},
        "accept": {"accept": "accepted", "close": "accepted"},
        "reject": {"reject": "rejected"},
        "close": {"close": "closed"},
    }
    assert usage["notes"] == ["Looks right.", "Too much."]
    assert usage["events"] == [True, "Sandbox provider token"]
    assert usage["outcomes"][1:] == [
        "submit", "submit", "submit", "delete", "skip", "accept", "accept", "reject", "close",
    ]  # fmt: skip


def test_usage_automation_processes_ready_files(usage: Report) -> None:
    assert usage["own"] == ["sdk forget", "sdk skip"]
    assert usage["warned"].startswith("UsageFileAutomation.process_request")


def test_template_of_usage_is_a_workbook(usage: Report) -> None:
    assert usage["sheets"] == ["instructions", "categories", "records", "items"]
    assert usage["columns"][:2] == ["record_id", "record_note"]
    assert usage["all_listings"] == 3


def test_refusals_of_usage(usage: Report) -> None:
    codes = {call: error["error_code"] for call, error in usage["refusals"].items()}
    assert codes == {
        "accept_by_vendor": "AUTH_002", "delete_of_closed": "REQ_003", "template": "NFND_000",
    }  # fmt: skip
    assert usage["unnamed"].startswith("Usage File Creation requires")


def test_both_parties_read_everything(directory: Report) -> None:
    vendor, distributor = directory["vendor"], directory["distributor"]
    assert set(vendor) == set(distributor)
    empty = {name for name, rows in vendor.items() if not rows}
    assert empty == {f"configurations {METER}", f"configurations {PLAIN}"}
    for name in set(vendor) - {"billing", "tier_accounts"}:
        assert vendor[name] == distributor[name]
    hidden = set(distributor["billing"]) - set(vendor["billing"])
    assert hidden
    assert all(pk.startswith("BRP-") for pk in hidden)
    assert set(vendor["tier_accounts"]) < set(distributor["tier_accounts"])


EXPECTED = {
    "in": lambda a, f: a[1] in (SUITE, METER),
    "out": lambda a, f: a[1] == PLAIN,
    "dict": lambda a, f: a[1] == PLAIN and a[2] in ("active", "suspended"),
    "like": lambda a, f: a[1] == METER,
    "ilike": lambda a, f: a[1] == SUITE,
    "not_equal": lambda a, f: a[2] != "active",
    "since": lambda a, f: a[3] >= f["moment"],
    "before": lambda a, f: a[3] < f["moment"],
    "configured": lambda a, f: a[1] == SUITE,
}


@pytest.mark.parametrize("name", EXPECTED)
def test_query_finds_the_expected_rows(directory: Report, name: str) -> None:
    expected = {row[0] for row in directory["assets"] if EXPECTED[name](row, directory)}
    assert set(directory["queries"][name]) == expected
    # A query that matches no rows or all rows would prove nothing.
    assert 0 < len(expected) < len(directory["assets"])


def test_order_and_pages(directory: Report) -> None:
    oldest_first = [row[0] for row in directory["assets"]]
    by_id = sorted(oldest_first)
    created = {row[0]: row[3] for row in directory["assets"]}
    newest_first = sorted(by_id, key=created.__getitem__, reverse=True)
    assert directory["queries"]["ordering"] == newest_first
    assert directory["queries"]["paged"] == by_id[1:3]
    assert directory["queries"]["in"] == [pk for pk in by_id if pk in directory["queries"]["in"]]
    assert directory["bare"] == [None, None]


def test_products_and_their_parts(directory: Report) -> None:
    assert directory["suite"] == ["Nimbus Secure Suite", "Security", "VA-610-138", 7, True]
    assert directory["configuration"] == ["https://api.nimbus.example.com/v2"]
    assert directory["parameters"] == [201, 200, "Cost center", ["Cost center"], 204, []]
    assert directory["templates"] == ["TL-213-870-001"]


def test_billing(directory: Report) -> None:
    billing = directory["billing"]
    assert billing["created"][0].startswith("BRP-")
    assert billing["created"][1:] == ["provider", True, 1]
    assert billing["hidden"] is False
    assert billing["own"] == "7"
    assert billing["attributes"] == [200, "INV-7", {"external_id": "INV-7"}]


def test_conversation_is_read_by_the_other_party(directory: Report) -> None:
    messages = ["Looking into it.", "Thanks."]
    assert directory["conversation"] == {
        "instance": True, "messages": messages, "read": messages, "conversation": True,
        "creators": ["Sandbox vendor token", "Sandbox provider token"],
    }  # fmt: skip


def test_template_is_rendered_for_either_party(directory: Report) -> None:
    assert directory["asset"] in directory["rendered"]
    assert directory["contact"].endswith("example.com")
    assert directory["global_config"] is True


def test_refusals_of_the_directory(directory: Report) -> None:
    codes = {call: error["error_code"] for call, error in directory["refusals"].items()}
    assert codes == {
        "missing": "NFND_000", "key": "AUTH_001", "query": "VAL_001", "parameter": "VAL_001",
        "template": "NFND_000", "request": "NFND_000",
    }  # fmt: skip
