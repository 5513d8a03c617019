"""CloudBlue's product-sync 1.5 (2020), unmodified: items of a product to a workbook and back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from openpyxl import load_workbook

from tests import environments
from tests.processes import Sandbox, output

pytestmark = pytest.mark.clients

METER = "PRD-590-284-731"
NEW = [
    ("Storage", "NM-STORAGE", "monthly", True, "Space for what is sent", False, "gb"),
    ("Support", "NM-SUPPORT", "yearly", True, "A year of it", True, "unit"),
    ("Set-up", "NM-SETUP", "onetime", True, "Once", False, "unit"),
    ("Alerts", "NM-ALERTS-PPU", "monthly", False, "As counted", False, "unit"),
    ("Storage", "NM-STORAGE-2", "monthly", True, "The same name", False, "gb"),
]
Run = Callable[..., str]


@pytest.fixture
def ccli(tmp_path: Path, request: pytest.FixtureRequest) -> Run:
    """Return a function that runs the command with the vendor's account."""
    # It imports pkg_resources, which setuptools 81 and later lack.
    requirements = "product-sync==1.5\nopenpyxl==3.1.5\nsetuptools==80.9.0\n"
    python = environments.python("product_sync", requirements, newest=(3, 11))
    running: Sandbox = request.getfixturevalue("running")

    def run(*arguments: str) -> str:
        command = [str(python.parent / "ccli"), "-c", str(tmp_path / "config"), *arguments]
        return output(command, environments.calling_loopback(), timeout=120)

    key = f"ApiKey {running.vendor_key}"
    run("configure", "-u", f"{running.url}/public/v1", "-k", key)
    return run


def test_items_are_exported_and_imported(ccli: Run, running: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "items.xlsx"
    ccli("product", "dump", METER, "-o", str(file))
    book = load_workbook(file)
    sheet = book[METER]
    items = running.as_vendor("GET", f"/products/{METER}/items")
    assert [(row[1], row[7]) for row in sheet.iter_rows(min_row=2, values_only=True)] == [
        (item["mpn"], item["id"]) for item in items
    ]
    sheet.cell(2, 5, value="Changed manually")
    for row in NEW:
        sheet.append([*row, None])
    book.save(file)

    printed = ccli("product", "sync", "-i", str(file))
    refusal = "name: Item with same name already exists for the product."
    assert f"mpn=NM-STORAGE-2, code=VAL_001, message={refusal}" in printed
    items_by_mpn = {
        item["mpn"]: item for item in running.as_vendor("GET", f"/products/{METER}/items?limit=50")
    }
    assert len(items_by_mpn) == len(items) + len(NEW) - 1
    assert items_by_mpn[items[0]["mpn"]]["description"] == "Changed manually"
    for name, mpn, period, is_reserved, description, is_yearly, _ in NEW[:-1]:
        item = items_by_mpn[mpn]
        assert (item["name"], item["description"]) == (name, description)
        assert (item["type"], item["period"]) == ("reservation" if is_reserved else "ppu", period)
        assert item["commitment"]["count"] == (12 if is_yearly else 1)
    rows = list(load_workbook(file)[METER].iter_rows(min_row=2, values_only=True))
    assert [row[7] for row in rows[2:]] == [*(items_by_mpn[row[1]]["id"] for row in NEW[:-1]), None]
    assert rows[-1][8:10] == ("VAL_001", refusal)


def test_missing_product_is_skipped(ccli: Run, tmp_path: Path) -> None:
    printed = ccli("product", "dump", "PRD-000-000-000", "-o", str(tmp_path / "nothing.xlsx"))
    assert "PRD-000-000-000" in printed and "does not exist" in printed
