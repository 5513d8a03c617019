"""CloudBlue's own command line, unmodified: accounts, products, customers, and its reports."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from tests import environments, orders, program
from tests.marks import nightly
from tests.processes import Sandbox, output
from tests.queue.catalog import product_workbooks
from tests.queue.catalog.product_workbooks import renamed

pytestmark = pytest.mark.clients

SCRIPT = Path(__file__).parent / "client_scripts" / "ccli.py"
REQUIREMENTS = "connect-cli==41.0\n"
VENDOR, PROVIDER = "VA-610-138", "PA-318-442"
SUITE, METER, OTHER = "PRD-362-917-440", "PRD-590-284-731", "PRD-123-123-123"

# Only `--version` makes requests to the internet; a missing proxy prevents them.
NOWHERE = dict.fromkeys(
    ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"),
    "http://127.0.0.1:9",
)

EVER = {"from": "20200101", "to": "20991231"}
PENDING = "/requests?status=pending"
# The second product by name, two types, and two of the statuses.
CHOSEN = f"/requests?asset.product.id={METER}&in(type,(purchase,change))&status=approved"
OPEN_OR_DONE = "in(status,(tiers_setup,inquiring,pending,approved,failed))"

# By report: how its wizard is answered, the column that names a row, and the list of the API
# whose ids must be in it.
REPORTS: dict[str, tuple[list[Any], str, str]] = {
    "fulfillment_requests": ([EVER, *["all"] * 4], "request_id", f"/requests?{OPEN_OR_DONE}"),
    "fulfillment_requests_line_item": (
        [EVER, *["all"] * 4], "request_id", f"/requests?{OPEN_OR_DONE}",
    ),
    "fulfillment_requests_failed": (
        [EVER, *["all"] * 3], "request_id", "/requests?status=failed",
    ),
    "billing_requests": ([EVER, "all", "all"], "billing_request_id", "/subscriptions/requests"),
    "billing_requests_line_item": (
        [EVER, "all", "all"], "billing_request_id", "/subscriptions/requests",
    ),
    "subscription_list": ([EVER, *["all"] * 4], "subscription_id", "/subscriptions/assets"),
    "tier_configuration_requests": (
        [EVER, *["all"] * 4], "request_id", f"/tier/config-requests?{OPEN_OR_DONE}",
    ),
    "tier_configuration_list": (
        [EVER, *["all"] * 3], "tier_configuration_id", "/tier/configs",
    ),
    "listing_requests": ([EVER, *["all"] * 3], "request_id", "/listing-requests"),
    "listing_list": ([EVER, *["all"] * 3], "listing_id", "/listings"),
    "customers_list": ([EVER, "all"], "account_id", "/tier/accounts"),
    "contract_list": (["all", "all"], "contract_id", "/contracts"),
    "usage_in_subscription": (["all", EVER], "asset_id", "/subscriptions/assets?status=active"),
    "helpdesk": ([EVER, "all"], "case_id", "/helpdesk/cases"),
}  # fmt: skip

# By report: cells of one row of the demo data.
ROWS: dict[str, dict[str, Any]] = {
    "fulfillment_requests": {
        "request_id": "PR-5810-2277-4118-002", "request_type": "change",
        "request_status": "pending", "customer_name": "Havstad Seafood AS",
        "tier_1_name": "Fjordline IT AS", "tier_2_id": "-", "marketplace_name": "Northland",
        "vendor_name": "Nimbus Inc", "asset_external_id": "500280", "transaction_type": "test",
        "hub_name": "Northland Hub", "asset_status": "active",
    },
    "fulfillment_requests_line_item": {
        "request_id": "PR-5810-2277-4101-001", "item_id": "PRD-814-505-018-0001",
        "item_name": "Seat", "item_type": "Reservation", "item_unit_of_measure": "Users",
        "item_mpn": "NB-SEAT", "item_period": "Monthly", "quantity": "25",
        "customer_name": "Orchard Street Books",
    },
    "fulfillment_requests_failed": {
        "request_id": "PR-5810-2277-4125-001", "request_type": "purchase",
        "tier_2__id": "TA-6120-4478-0031", "request_status": "terminated",
        "vendor_note": "The customer has a contract with Nimbus already: NB-70418-2210.",
    },
    "billing_requests": {
        "billing_request_id": "BRV-5810-2277-4118-0001", "delta": 1.0, "uom": "monthly",
        "subscription_id": "AS-5810-2277-4118", "subscription_status": "active",
        "customer_external_id": "100280", "provider_id": PROVIDER,
    },
    "billing_requests_line_item": {
        "billing_request_id": "BRV-2934-6610-1223-0001", "item_mpn": "NSS-ENDPOINT-M",
        "billing_cycle": 1, "quantity": 14.0, "item_period": "monthly",
        "subscription_status": "terminating",
    },
    "subscription_list": {
        "subscription_id": "AS-2934-6610-1209", "status": "active", "billing_period": "Monthly",
        "contract_name": "Contract of Northland Distribution", "anniversary_month": "-",
        "product_name": "Nimbus Secure Suite", "hub_id": "HB-7710-3391",
    },
    "tier_configuration_requests": {
        "request_id": "TCR-733-508-150-001", "request_type": "setup",
        "request_status": "inquiring", "tier_level": 2, "name": "Alpenglow Distribution AG",
        "tier_external_id": "200045", "marketplace": "Northland",
    },
    "helpdesk": {
        "case_id": "CA-731-204-552", "type": "technical", "status": "inquiring",
        "subject": "Provisioning takes longer than a day", "priority": "Medium",
        "issuer_account_id": PROVIDER, "issuer_user_name": "Jonas Berg",
        "receiver_name": "Nimbus Inc", "receiver_user_name": "Maya Ortiz", "resolved_at": "-",
    },
    "tier_configuration_list": {
        "tier_configuration_id": "TC-733-508-143", "tier_level": 1, "status": "processing",
        "environment": "test", "name": "Fjordline IT AS", "tier_id": "TA-6120-4478-0107",
    },
    "listing_requests": {
        "request_id": "LSTR-905-617-283-002", "request_type": "remove", "status": "reviewing",
        "listing_id": "LST-905-617-283", "product_name": "Nimbus Meter", "vendor_id": VENDOR,
    },
    "listing_list": {
        "listing_id": "LST-731-204-558", "status": "listed", "product_id": orders.PLAIN,
        "contract_id": "CRD-41020-88713-20954", "provider_name": "Northland Distribution",
    },
    "customers_list": {
        "account_id": "TA-0418-2290-3310", "external_id": "100245", "customer_scope": "Yes",
        "tier_1_scope": "-", "provider_id": PROVIDER, "name": "Alder & Finch Architects",
        "tax_id": "93-5550145", "postal_code": "97209", "country": "US",
        "contact_email": "dana.finch@alderfinch.example.com",
        "contact_phone_number": "+15035550145",
    },
    "contract_list": {
        "contract_id": "CRD-41020-88713-20954", "type": "distribution", "version": 1,
        "agreement_id": "AGD-000-040-117", "issuer": "Northland Distribution",
        "marketplace_id": "MP-40117",
    },
    "usage_in_subscription": {
        "asset_id": "AS-2934-6610-1209", "usage_reports_count": 2,
        "usage_reports_ids": "UF-2026-01-3391-0001, UF-2026-01-3391-0002",
    },
}  # fmt: skip

Job = dict[str, Any]
Listed = dict[tuple[str, str], list[dict[str, Any]]]


@dataclass
class Desk:
    """The environment of ccli, the folder of its output, and the sandbox."""

    interpreter: Path
    folder: Path
    running: Sandbox

    @property
    def env(self) -> dict[str, str]:
        inherited = {k: v for k, v in environments.calling_loopback().items() if k not in NOWHERE}
        return {**inherited, **NOWHERE, "HOME": str(self.folder), "TZ": "UTC", "COLUMNS": "200"}

    def config(self, party: str) -> list[str]:
        """Return the options that choose an account."""
        return ["-c", str(self.folder / f"ccli-{party}")]

    def out(self, name: str) -> str:
        return str(self.folder / name)

    def run(self, jobs: dict[str, Job]) -> dict[str, str]:
        """Run commands, one after another, and return what each printed."""
        expected = self.folder / "jobs.json"
        expected.write_text(json.dumps(jobs))
        command = [str(self.interpreter), str(SCRIPT)]
        return dict(json.loads(output(command, {**self.env, "JOBS": str(expected)}, timeout=300)))

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Return the rows of a report in JSON."""
        with zipfile.ZipFile(self.out(f"{name}.zip")) as packed:
            rows: list[dict[str, Any]] = json.loads(packed.read("report.json"))
        return rows

    def report(self, party: str, name: str, inputs: list[Any], *options: str, out: str) -> Job:
        command = ["report", "execute", name, "-o", self.out(out), *options]
        return {"arguments": [*self.config(party), *command], "inputs": inputs}


@pytest.fixture(scope="module")
def desk(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    interpreter = environments.python("connect_cli", REQUIREMENTS)
    return Desk(interpreter, tmp_path_factory.mktemp("ccli"), running)


def account_jobs(desk: Desk) -> dict[str, Job]:
    """Accounts come and go; each party has a configuration of its own besides."""
    url = f"{desk.running.url}/public/v1"
    keys = {VENDOR: desk.running.vendor_key, PROVIDER: desk.running.provider_key}

    def account(config: str, *arguments: str) -> Job:
        return {"arguments": [*desk.config(config), "account", *arguments]}

    adding = {
        f"add {party} to {config}": account(config, "add", f"ApiKey {keys[party]}", "-e", url)
        for config, party in (
            (VENDOR, VENDOR),
            (PROVIDER, PROVIDER),
            ("both", VENDOR),
            ("both", PROVIDER),
        )
    }
    return {
        "none": account("none", "list"),
        **adding,
        "wrong key": account("both", "add", f"ApiKey {keys[VENDOR]}x", "-e", url),
        "list": account("both", "list"),
        "activate": account("both", "activate", PROVIDER),
        "activated": account("both", "list"),
        "remove": account("both", "remove", PROVIDER),
        "removed": account("both", "list"),
        "remove again": account("both", "remove", PROVIDER),
    }


def command_jobs(desk: Desk) -> dict[str, Job]:
    """The other commands."""
    jobs: dict[str, Job] = {
        "version": {"arguments": ["--version"]},
        "reports": {"arguments": [*desk.config(VENDOR), "report", "list"]},
        "info": {"arguments": [*desk.config(VENDOR), "report", "info", "sla"]},
        "export": {
            "arguments": [*desk.config(VENDOR), "product", "export", SUITE, "-p", str(desk.folder)],
        },
    }
    for party in (VENDOR, PROVIDER):
        chosen = desk.config(party)
        export = ["customer", "export", "-p", str(desk.folder), "-o", "customers.xlsx"]
        jobs |= {
            f"products of {party}": {"arguments": [*chosen, "product", "list"]},
            f"query of {party}": {
                "arguments": [*chosen, "product", "list", "-q", "like(name,*eter)"]
            },
            f"customers of {party}": {"arguments": [*chosen, *export]},
        }
    return jobs


# Reports that tests read besides `test_report`.
READ = {
    (VENDOR, "fulfillment_requests"),
    *((party, name) for party in (VENDOR, PROVIDER) for name in ("billing_requests",
                                                                 "customers_list")),
}  # fmt: skip


def report_jobs(desk: Desk, tested: set[tuple[str, str]]) -> dict[str, Job]:
    """The tested reports, by party and name, the other formats, and a choice of rows."""
    jobs = {
        f"{party} {name}": desk.report(
            party, name, REPORTS[name][0], "-f", "json", out=f"{party}-{name}"
        )
        for party, name in sorted(tested | READ)
    }
    every = REPORTS["fulfillment_requests"][0]
    some = [
        EVER,
        {"choose": [False, True]},
        {"choose": [True, True]},
        {"choose": [False, False, False, True]},
        "all",
    ]
    past = [{"from": "20200101", "to": "20200102"}, *["all"] * 3]
    return {
        **jobs,
        **{
            f"{party} sla": desk.report(party, "sla", ["3", "10", "all", "all"], out=f"{party}-sla")
            for party in (VENDOR, PROVIDER)
        },
        "xlsx": desk.report(VENDOR, "fulfillment_requests", every, out="default"),
        "csv": desk.report(PROVIDER, "fulfillment_requests", every, "-f", "csv", out="csv"),
        "some": desk.report(VENDOR, "fulfillment_requests", some, "-f", "json", out="some"),
        "past": desk.report(VENDOR, "listing_requests", past, "-f", "json", out="past"),
        "catalog": desk.report(PROVIDER, "products_catalog", [], out="catalog"),
        "not a vendor's": desk.report(VENDOR, "products_catalog", [], out="catalog"),
    }


@pytest.fixture(scope="module")
def printed(desk: Desk, request: pytest.FixtureRequest) -> dict[str, str]:
    """The output of each command, run in one process, because ccli takes seconds to start."""
    tested = {
        (item.callspec.params["party"], item.callspec.params["name"])
        for item in request.session.items
        if getattr(item, "originalname", "") == "test_report" and item.path == request.path
    }
    return desk.run({**account_jobs(desk), **command_jobs(desk), **report_jobs(desk, tested)})


def api(desk: Desk, party: str, path: str) -> list[dict[str, Any]]:
    """Return what the API lists for a party."""
    call = desk.running.as_vendor if party == VENDOR else desk.running.as_distributor
    rows: list[dict[str, Any]] = call("GET", f"{path}{'&' if '?' in path else '?'}limit=1000")
    return rows


@pytest.fixture(scope="module")
def listed(desk: Desk, printed: dict[str, str]) -> Listed:
    """The lists of the API for each party, before any test changes data."""
    paths = {path for _, _, path in REPORTS.values()} | {PENDING, CHOSEN}
    return {(party, path): api(desk, party, path) for party in (VENDOR, PROVIDER) for path in paths}


def test_accounts(printed: dict[str, str]) -> None:
    assert "No account configured." in printed["none"]
    assert f"New account added: {VENDOR} - Nimbus Inc" in printed[f"add {VENDOR} to both"]
    assert f"{PROVIDER} - Northland Distribution" in printed[f"add {PROVIDER} to both"]
    assert "Unauthorized: the provided api key is invalid." in printed["wrong key"]


def test_active_account(printed: dict[str, str]) -> None:
    def active(message: str) -> list[str]:
        return [line for line in message.splitlines() if "✓" in line]

    assert VENDOR in active(printed["list"])[0] and PROVIDER in printed["list"]
    assert f"Current active account is: {PROVIDER}" in printed["activate"]
    assert [PROVIDER in line for line in active(printed["activated"])] == [True]
    assert f"Account removed: {PROVIDER}" in printed["remove"]
    assert VENDOR in active(printed["removed"])[0] and PROVIDER not in printed["removed"]
    assert "does not exist" in printed["remove again"]


def test_version_and_reports(printed: dict[str, str]) -> None:
    assert "CloudBlue Connect CLI, version 41.0" in printed["version"]
    assert all(name in printed["reports"] for name in (*REPORTS, "sla"))
    assert "SLA Report for pending requests (ID: sla)" in printed["info"]
    assert "Export data in Microsoft Excel" in printed["info"]


@pytest.mark.parametrize("party", [VENDOR, PROVIDER])
def test_products(printed: dict[str, str], party: str) -> None:
    products = printed[f"products of {party}"]
    for product in (orders.PLAIN, SUITE, METER, "Nimbus Secure Suite"):
        assert product in products
    assert METER in printed[f"query of {party}"] and SUITE not in printed[f"query of {party}"]


@pytest.mark.parametrize("party", [VENDOR, PROVIDER])
def test_customers_are_exported(
    desk: Desk, printed: dict[str, str], listed: Listed, party: str
) -> None:
    assert "have been successfully exported" in printed[f"customers of {party}"]
    sheet = openpyxl.load_workbook(desk.folder / party / "customers.xlsx")["Customers"]
    head, *rows = sheet.iter_rows(values_only=True)
    customers = {row[0]: dict(zip(head, row, strict=True)) for row in rows}
    assert set(customers) == {row["id"] for row in listed[party, "/tier/accounts"]}
    cells = {
        "External ID": "100245",
        "Hub ID": "HB-7710-3391",
        "Type": "customer",
        "Company Name": "Alder & Finch Architects",
        "City": "Portland",
        "Country": "US",
        "Zip": "-",
        "Technical Contact Email": "dana.finch@alderfinch.example.com",
        "Technical Contact Phone": "+15035550145",
    }
    assert cells.items() <= customers["TA-0418-2290-3310"].items()


@pytest.mark.parametrize(
    ("party", "name"),
    [
        (party, name)
        if party == VENDOR or (party, name) in READ
        else nightly(party, name, reason="the vendor's report reads the same fields")
        for party in (VENDOR, PROVIDER)
        for name in REPORTS
    ],
)
def test_report(desk: Desk, printed: dict[str, str], listed: Listed, party: str, name: str) -> None:
    assert "Report has been completed" in printed[f"{party} {name}"], printed[f"{party} {name}"]
    _, column, path = REPORTS[name]
    rows = desk.rows(f"{party}-{name}")
    expected = {row["id"] for row in listed[party, path]}
    assert {row[column] for row in rows} == expected
    # Of a line item there is a row each.
    assert len(rows) >= len(expected) > 0
    assert [row for row in rows if ROWS[name].items() <= row.items()], rows[:3]


def test_provider_sees_more(desk: Desk, printed: dict[str, str]) -> None:
    """The provider also sees its own billing requests, and customers without subscriptions."""
    for name in ("billing_requests", "customers_list"):
        of_vendor, of_provider = (len(desk.rows(f"{party}-{name}")) for party in (VENDOR, PROVIDER))
        assert of_vendor < of_provider


@pytest.mark.parametrize("party", [VENDOR, PROVIDER])
def test_report_of_pending_requests(
    desk: Desk, printed: dict[str, str], listed: Listed, party: str
) -> None:
    assert "Report has been completed" in printed[f"{party} sla"]
    sheet = openpyxl.load_workbook(desk.out(f"{party}-sla.xlsx")).worksheets[0]
    by_id = {row[0]: row for row in sheet.iter_rows(values_only=True)}
    assert listed[party, PENDING]
    for request in listed[party, PENDING]:
        row = by_id[request["id"]]
        assert row[2] == request["asset"]["product"]["name"] and row[7] == request["type"]
        assert "GREEN" in row


def test_other_formats(desk: Desk, printed: dict[str, str]) -> None:
    sheet = openpyxl.load_workbook(desk.out("default.xlsx")).worksheets[0]
    ids = {row[0] for row in sheet.iter_rows(min_row=2, values_only=True)}
    rows = desk.rows(f"{VENDOR}-fulfillment_requests")
    assert {row["request_id"] for row in rows} <= ids
    assert all(isinstance(cell.value, datetime) for cell in sheet["D"][1:])
    with zipfile.ZipFile(desk.out("csv.zip")) as packed:
        head, *lines = csv.reader(io.StringIO(packed.read("report.csv").decode()), delimiter=";")
    assert head[:2] == ["Request ID", "Request Type"]
    assert {line[0] for line in lines} == {row["request_id"] for row in rows}


def test_report_parameters_filter_rows(desk: Desk, printed: dict[str, str], listed: Listed) -> None:
    pks = [row["request_id"] for row in desk.rows("some")]
    assert sorted(pks) == sorted(row["id"] for row in listed[VENDOR, CHOSEN])
    assert 0 < len(pks) < len(desk.rows(f"{VENDOR}-fulfillment_requests"))
    assert desk.rows("past") == []


def test_commands_that_fail_say_why(printed: dict[str, str]) -> None:
    assert "Unknown path" not in printed["catalog"]
    assert "not expected to be executed on vendor accounts" in printed["not a vendor's"]
    assert f"The product {SUITE} has been successfully exported" in printed["export"]


def imported(desk: Desk, file: Path) -> str:
    return program.run("--data-dir", str(desk.running.data_dir), "product", "import", str(file))


def test_exported_product_is_imported_without_changes(desk: Desk, printed: dict[str, str]) -> None:
    file = desk.folder / SUITE / f"{SUITE}.xlsx"
    assert imported(desk, file).splitlines() == [
        f"No changes to {SUITE} Nimbus Secure Suite.",
        "Not imported: icon.",
    ]


def test_product_of_another_world_is_exported_the_same_and_synchronized(
    desk: Desk, printed: dict[str, str], listed: Listed
) -> None:
    """A product that the sandbox lacks: imported, exported by both, changed, and synchronized."""
    original = desk.folder / SUITE
    folder = desk.folder / "another"
    (folder / "media").mkdir(parents=True)
    for path in (original / "media").iterdir():
        (folder / "media" / path.name.replace(SUITE[4:], OTHER[4:])).write_bytes(path.read_bytes())
    file = folder / "product.xlsx"
    file.write_bytes(renamed((original / f"{SUITE}.xlsx").read_bytes(), OTHER[4:]))
    first = imported(desk, file).splitlines()[0]
    assert first.startswith(f"Created {OTHER} ") and "2 in Media" in first
    own = desk.folder / "own" / "product.xlsx"
    own.parent.mkdir()
    program.run(
        "--data-dir", str(desk.running.data_dir), "product", "export", OTHER, "-o", str(own)
    )
    _edit(own)
    ccli = desk.config(VENDOR)
    ran = desk.run(
        {
            "export": {"arguments": [*ccli, "product", "export", OTHER, "-p", str(desk.folder)]},
            "sync": {"arguments": ["-y", *ccli, "product", "sync", str(own)]},
        }
    )
    exported = (desk.folder / OTHER / f"{OTHER}.xlsx").read_bytes()
    assert product_workbooks.cells(exported) == product_workbooks.cells(file.read_bytes())
    table = [line.split("│") for line in ran["sync"].splitlines() if line.count("│") > 6]
    counts = {
        cells[1].strip(): [int(n) for n in cells[2:-1]]
        for cells in table
        if cells[2].strip().isdecimal()
    }
    assert counts, ran["sync"]
    assert {name for name, (*_, errors) in counts.items() if errors} == set(), ran["sync"]
    updated = {name: row[2] for name, row in counts.items() if row[2]}
    assert updated == {
        "Items": 1,
        "Templates": 1,
        "Capabilities": 1,
        "Ordering Parameters": 4,
        "Actions": 1,
        "Media": 1,
        "Configuration": 1,
    }
    item = desk.running.as_vendor("GET", f"/products/{OTHER}/items/{OTHER}-0001")
    assert item["name"] == "Endpoint"
    product = desk.running.as_vendor("GET", f"/products/{OTHER}")
    assert (product["name"], product["capabilities"]["ppu"]["schema"]) == ("Other Suite", "TR")


def _edit(file: Path) -> None:
    """Change a workbook as a user of `ccli product sync` does: a value, and the action."""
    changes = {
        "General Information": {"B6": "Other Suite"},
        "Capabilities": {"B2": "update", "C2": "TR"},
        "Items": {"C2": "update", "D2": "Endpoint"},
        "Templates": {"C2": "update", "F2": "Hello"},
        # The third depends on the second, which connect-cli updates again for it.
        "Ordering Parameters": {"C4": "update", "D4": "Mail", "C9": "update", "C10": "update"},
        "Actions": {"C2": "update", "E2": "Enter"},
        "Media": {"C2": "update"},
        "Configuration": {"D2": "update", "I2": "https://api.example.com"},
    }
    file.write_bytes(
        product_workbooks.changed(
            file.read_bytes(),
            {
                f"{sheet}!{at}": value
                for sheet, cells in changes.items()
                for at, value in cells.items()
            },
        )
    )


def test_customers_are_synchronized(desk: Desk, printed: dict[str, str], listed: Listed) -> None:
    """Create a reseller and its customer, change an address, refuse an unknown parent."""
    path = desk.folder / "changed.xlsx"
    first = _add_customers(desk.folder / PROVIDER / "customers.xlsx", path)
    # The installed command, as a user runs it.
    ccli = [str(desk.interpreter.parent / "ccli"), "-y", *desk.config(PROVIDER)]
    synced = output([*ccli, "customer", "sync", str(path)], desk.env, timeout=120)
    counts = next(line for line in synced.splitlines() if "│ Customers" in line)
    processed, created, updated, _, skipped, errors = (
        int(cell) for cell in counts.split("│")[2:-1]
    )
    assert (created, updated, errors) == (2, 1, 1), synced
    assert processed == created + updated + skipped + errors
    assert "Parent with external_id 404404 not found" in synced
    accounts = {row["external_id"]: row for row in api(desk, PROVIDER, "/tier/accounts")}
    assert accounts["900101"]["parent"]["id"] == accounts["900100"]["id"]
    assert (
        accounts["900101"]["contact_info"]["contact"]["phone_number"]["phone_number"] == "22555014"
    )
    assert accounts["100245"]["contact_info"]["city"] == "Oslo" and "900102" not in accounts
    written = openpyxl.load_workbook(path)["Customers"]
    assert written.cell(first, 1).value == accounts["900100"]["id"]


def _add_customers(exported: Path, path: Path) -> int:
    """Change a row of a workbook, and add three rows; return the number of the first of them."""
    book = openpyxl.load_workbook(exported)
    sheet = book["Customers"]
    at = {cell.value: cell.column for cell in sheet[1]}
    address = {
        "Address Line 1": "9 Kaigata", "City": "Oslo", "State": "Oslo", "Zip": "0152",
        "Country": "NO",
    }  # fmt: skip
    new = {
        **address, "Action": "create", "Technical Contact First Name": "Ida",
        "Technical Contact Last Name": "Holm", "Technical Contact Email": "ida@example.com",
        "Technical Contact Phone": "+4722555014",
    }  # fmt: skip
    reseller = {
        **new, "External ID": "900100", "Type": "reseller", "Company Name": "Holm IT",
        "Parent Search Criteria": "-", "Parent Search Value": "-",
    }  # fmt: skip
    customer = {
        **new, "External ID": "900101", "Type": "customer", "Company Name": "Kaigata Bakery",
        "Parent Search Criteria": "external_id", "Parent Search Value": "900100",
    }  # fmt: skip
    stranger = {**customer, "External ID": "900102", "Parent Search Value": "404404"}
    first = sheet.max_row + 1
    rows: dict[int, dict[str, Any]] = dict(enumerate((reseller, customer, stranger), first))
    for number in range(2, first):
        if sheet.cell(number, 1).value == "TA-0418-2290-3310":
            rows[number] = {**address, "Action": "update", "Hub ID": None}
    for number, cells in rows.items():
        for name, value in cells.items():
            sheet.cell(number, at[name], value)
    book.save(path)
    return first
