"""CloudBlue's JavaScript SDK, unmodified: every method, the queues, and the Zapier app."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests import doc_blocks, environments, orders
from tests.contract.document import MISSING, connects
from tests.e2e import clients
from tests.handlers import Handler, handler
from tests.processes import ROOT, Sandbox, output

pytestmark = pytest.mark.node

SCRIPTS = Path(__file__).parent / "client_scripts"
PACKAGE = SCRIPTS / "package.json"
SUITE = "PRD-362-917-440"
PAGE = "docs/clients/javascript-sdk.md"
SHOWN = [block.text for block in doc_blocks.blocks(PAGE)]
Report = dict[str, Any]
# What the scripts must read, by part of their report.
READ = clients.table("javascript_sdk")

_CRUD = "create delete get search update"

# Methods of the SDK that are not served, by reason: class and calls.
ABSENT = {
    "attachments are forms, which the SDK does not send": {
        "CaseAttachmentsResource": "create",
    },
    "users are the sandbox's own: the admin writes them": {
        "AccountUserResource": "create delete update",
    },
    "the platform keeps an object's one conversation": {"ConversationResource": "delete"},
    "accounts are the sandbox's own: the admin changes them": {
        "AccountResource": "delete update",
    },
    # The SDK has five calls for each resource, Connect has fewer.
    "Connect has no such call either": {
        "AssetResource": "create delete update",
        "BillingRequestResource": "delete update",
        "CaseAttachmentsResource": "update",
        "CaseResource": "delete",
        "CaseSettingsResource": _CRUD,
        "ConversationResource": "update",
        "ListingRequestResource": "update",
        "MessageResource": "delete",
        "ProductConfigurationResource": "delete get update",
        "ProductConnectionsResource": "delete",
        "ProductVersionResource": "delete",
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
    installed = environments.node("javascript_sdk", PACKAGE)
    (folder / "node_modules").symlink_to(installed / "node_modules")

    @cache
    def run(script: str, **variables: str) -> Report:
        env = {
            **environments.calling_loopback(),
            "CONNECT_URL": f"{running.url}/public/v1",
            "VENDOR_KEY": running.vendor_key,
            "PROVIDER_KEY": running.provider_key,
            "HANDLER_URL": f"{served.url}{script}",
            "SECRET": orders.SECRET,
            **variables,
        }
        command = ["node", str(folder / f"{script}.mjs")]
        return dict(json.loads(output(command, env, timeout=120)))

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
        ("PUT", "/accounts/{}"),
        ("DELETE", "/accounts/{}"),
        ("POST", "/accounts/{}/users"),
        ("PUT", "/accounts/{}/users/{}"),
        ("DELETE", "/accounts/{}/users/{}"),
    }


@pytest.mark.parametrize(
    ("script", "part"), [(script, part) for script, parts in READ.items() for part in parts]
)
def test_script_reads(run: Callable[..., Report], served: Handler, script: str, part: str) -> None:
    it, expected = run(script)[part], READ[script][part]
    calls = [request.json for request in served.received if request.path == f"/{script}"]
    names = {"it": it, "calls": calls, "claims": claims}
    assert [*clients.differences(expected.get("shows", {}), it)] == []
    assert [fact for fact in expected.get("holds", ()) if not eval(fact, names)] == []


def claims(link: str) -> dict[str, Any]:
    """Return the claims of an action's link."""
    token = link.partition("jwt=")[2]
    return dict(jwt.decode(token, options={"verify_signature": False}))


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


def test_every_query_of_the_script_is_checked(directory: Report) -> None:
    assert set(directory["queries"]["results"]) == set(QUERIES)


def test_each_filter_of_zapiers_searches(zapier: Report) -> None:
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
    installed = environments.node("javascript_sdk", PACKAGE)
    (tmp_path / "node_modules").symlink_to(installed / "node_modules")
    (tmp_path / "var").symlink_to(running.data_dir)
    (tmp_path / "shown.mjs").write_text(SHOWN[number])
    assert output(["node", "shown.mjs"], environments.calling_loopback(), tmp_path).strip()


def test_page_has_the_number_of_methods(missing: Report) -> None:
    total, gone = len(missing["methods"]), len(absent())
    message = f"all of its {total} methods"
    page = " ".join((ROOT / PAGE).read_text().split())
    assert message in page
    assert f"{total - gone} work, and {gone} are calls" in page
