"""CloudBlue's Python clients, unmodified: the calls of `client_scripts/*.yml` and their results."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from connect_sim.api import schema_views
from tests import doc_blocks, environments, orders
from tests.e2e import clients, validating
from tests.e2e.conftest import SDK_16
from tests.marks import nightly
from tests.processes import Sandbox, output
from tests.queue import spreadsheets
from tests.shared_sandbox import reset

pytestmark = pytest.mark.clients

DESK = {
    "item_search_value": "NSS-DESK-PPU", "quantity": 12.5, "amount": 25,
    "start_time_utc": "2026-10-01 00:00:00", "end_time_utc": "2026-10-31 23:59:59",
    "asset_search_value": "AS-2934-6610-1216", "category_id": "general",
}  # fmt: skip
CATEGORIES = [
    ["category_id", "category_name", "category_description"],
    ["general", "General usage", "All that is counted"],
]
SHOWN = [block.text for block in doc_blocks.blocks("docs/clients/openapi-client.md")]
# Runs them one after another, each with names of its own: the import of the client takes seconds.
EACH_ALONE = """
import contextlib, io, json, sys
printed = []
for code in json.load(sys.stdin):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(code, {"__name__": "__main__"})
    printed.append(out.getvalue())
print(json.dumps(printed))
"""
# The calls of the page's table.
NOT_SERVED = {
    ("post", "/contracts"),
    ("delete", "/conversations/{}"), ("get", "/products/{}/templates/{}/render"),
    ("get", "/products/{}/templates/{}/preview"),
}  # fmt: skip
# Rules of the validators' handler, by path.
RULES = {
    "/cart": {"wrong": {"admin_email": ["no@example.com", "Nobody reads this mailbox."]}},
    "/tiers": {"wrong": {"partner_agreement": ["NSS-0", "There is no such agreement."]}},
    "/down": {"status": 500},
}
# The tables besides the one of connect-openapi-client, by client.
TABLES = {
    "openapi_client": ["specs"],
    "openapi_client_21": ["openapi_client_21"],
    "connect_sdk": ["sdk_fulfillment", "sdk_tiers", "sdk_usage", "sdk_directory"],
    "haxe_port": ["haxe_models", "haxe_flows", "haxe_usage"],
    **({"connect_sdk_16": ["sdk_16"]} if SDK_16 else {}),
}
OPENAPI = clients.table("openapi_client")
SPECS = "runs on threads and on asyncio each time; specs.yml uses the document"
# Lists, refusals, drafts, uploads and deliveries.
ASYNC = ("asyncio_lists", "errors", "inquiry", "usage_accepted", "validation_of_a_cart", "webhooks")
KINDS = [
    *(("sync", flow) for flow in (*OPENAPI["sync"], *OPENAPI["both"])),
    *(
        ("async", flow) if flow in ASYNC else nightly("async", flow, reason="the same on threads")
        for flow in OPENAPI["both"]
    ),
    *(nightly("specs", flow, reason=SPECS) for flow in OPENAPI["both"]),
]
FLOWS = [
    (client, table, flow)
    for client, tables in TABLES.items()
    for table in tables
    for flow in clients.table(table)
]
Run = Callable[..., Any]


@pytest.fixture(scope="module")
def run(
    running: Sandbox, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Run]:
    """Return a function that runs the calls of a client's tables, once, and returns the results.

    Each client finds the demo data.
    """
    folder = tmp_path_factory.mktemp("handler")
    workbook = folder / "usage.xlsx"
    rows = spreadsheets.table([spreadsheets.row(**DESK)])
    workbook.write_bytes(spreadsheets.xlsx(rows, categories=CATEGORIES))
    paths = schema_views.document()["paths"]
    operations = [
        f"{method} {path}"
        for path, methods in paths.items()
        for method in methods
        # The paths that `help()` of the client fails on.
        if not schema_views.is_left_out(path, paths)
    ]
    chosen = {
        (item.callspec.params["kind"], item.callspec.params["flow"])
        for item in request.session.items
        if getattr(item, "originalname", "") == "test_connect_openapi_client"
    }
    with validating.validator(folder, "--rules", json.dumps(RULES)) as served:

        @cache
        def run(client: str, kind: str = "") -> Any:
            tables = {table: clients.table(table) for table in TABLES[client]}
            if kind:
                flows = {**OPENAPI["both"], **(OPENAPI["sync"] if kind == "sync" else {})}
                tested = {name: flows[name] for name in flows if (kind, name) in chosen}
                tables = {"openapi_client": tested}
            reset(running)
            return clients.run(
                client,
                running,
                "runner",
                sent=json.dumps(tables),
                KIND=kind,
                SPECS=f"{running.url}/connect-openapi30.yml",
                XLSX=str(workbook),
                HANDLER_URL=served.url,
                SECRET=orders.SECRET,
                OPERATIONS="\n".join(operations),
            )

        yield run


@pytest.mark.parametrize(("kind", "flow"), KINDS)
def test_connect_openapi_client(run: Run, kind: str, flow: str) -> None:
    steps = {**OPENAPI["sync"], **OPENAPI["both"]}[flow]
    found = run("openapi_client", kind)["openapi_client"][flow]
    assert [*clients.findings(steps, found)] == []


@pytest.mark.parametrize(("client", "table", "flow"), FLOWS)
def test_other_client(run: Run, client: str, table: str, flow: str) -> None:
    steps = clients.table(table)[flow]
    assert [*clients.findings(steps, run(client)[table][flow])] == []


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        ({"status": "failed"}, {"status": "approved"}),
        ({"params": {"a": {"value": 1}}}, {"params": [{"id": "a", "value": 2}]}),
        ({-1: "last"}, ["last", "first"]),
        ([{"id": "a"}], [{"id": "a"}, {"id": "b"}]),
        ("~^BRP-", "BRV-1"),
        (False, 0),
        ({"id": "a"}, None),
    ],
)
def test_difference_is_found(expected: Any, found: Any) -> None:
    assert len([*clients.differences(expected, found)]) == 1


@pytest.mark.parametrize(
    ("step", "result"),
    [
        ({"call": "a", "refused": [400, "VAL_001"]}, {"it": {"status": "pending"}, "holds": []}),
        ({"call": "a", "holds": ["b"]}, {"it": 1, "holds": [False]}),
        ({"call": "a"}, {"error": "Traceback"}),
    ],
)
def test_failed_step_is_found(step: Any, result: Any) -> None:
    assert len([*clients.findings([step], [result])]) == 1
    assert [*clients.findings([step, step], [])] == ["0 of 2 steps"]


@pytest.mark.parametrize(
    ("code", "errors"),
    [("VAL_002", ["A"]), ("VAL_001", []), ("VAL_001", [""]), ("VAL_001", [1]), ("VAL_001", "A")],
)
def test_other_refusal_is_found(code: str, errors: Any) -> None:
    refused = {"status": 400, "error_code": code, "errors": errors}
    step = {"call": "a", "refused": [400, "VAL_001"]}
    assert len([*clients.findings([step], [{"it": refused, "holds": []}])]) == 1


def test_each_code_on_the_page_of_the_client_runs(running: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "var").symlink_to(running.data_dir)
    command = [str(clients.interpreter("openapi_client")), "-c", EACH_ALONE]
    printed = output(
        command, environments.calling_loopback(), tmp_path, sent=json.dumps(SHOWN), timeout=120
    )
    assert [bool(text.strip()) for text in json.loads(printed)] == [True] * len(SHOWN)


def test_operations_listed_as_not_served_are_not_served() -> None:
    served = {
        (method, re.sub(r"\{\w+\}", "{}", path))
        for path, methods in schema_views.document()["paths"].items()
        for method in methods
    }
    assert served & NOT_SERVED == set()
