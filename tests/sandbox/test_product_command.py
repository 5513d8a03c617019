"""The commands `product import` and `product export`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from requests_queue import seed
from requests_queue.catalog.models import Account, Item, Product, ProductMedia
from requests_queue.seed.products import picture
from sandbox import sandbox_file
from tests import program
from tests.api import PROVIDER, VENDOR, caller
from tests.program import Failed
from tests.sandbox.product_workbooks import DIGITS, PRODUCT, captured, changed, without_row

pytestmark = pytest.mark.django_db
SUITE = "PRD-362-917-440"
Run = Callable[..., str]


@pytest.fixture
def run(live_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`connect-sim product` with a sandbox in this process, in a folder of its own."""
    seed.run(lambda line: None)
    keys = [caller(Account.objects.get(pk=pk)).key or "" for pk in (VENDOR, PROVIDER)]
    sandbox_file.write(tmp_path / "var", sandbox_file.Sandbox(live_server.url, *keys))
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: program.run("--data-dir", "var", "product", *arguments)


def test_import_prints_what_was_created_changed_and_left_out(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "mine.xlsx"
    file.write_bytes(captured())
    left_out = (
        "Not imported: media without a picture (2 rows), icon, primary locale FA (Persian), "
        "translations (2 rows), translated attributes (3 rows), messages (1 row)."
    )
    assert run("import", str(file)).splitlines() == [
        f"Created {PRODUCT} My Product for Nimbus Inc ({VENDOR}): 3 in Items, 3 in Templates, "
        "1 in Actions, 6 in Ordering Parameters, 1 in Fulfillment Parameters, "
        "1 in Configuration Parameters, 1 in Configuration.",
        left_out,
    ]
    assert run("import", str(file)).splitlines() == [
        f"No changes to {PRODUCT} My Product.", left_out,
    ]  # fmt: skip
    file.write_bytes(without_row(changed(captured(), {"Items!D2": "Seat"}), "Items", 4))
    assert run("import", str(file)).splitlines() == [
        f"Updated {PRODUCT} My Product:", f"  Items {PRODUCT}-0001: Name",
        f"Not in the file, kept: Items {PRODUCT}-0003.", left_out,
    ]  # fmt: skip
    answer = json.loads(run("import", str(file), "--json"))
    assert (answer["created"], answer["changes"]) == (False, [])


def test_pictures_are_read_from_the_folder_media(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / PRODUCT
    (folder / "media").mkdir(parents=True)
    (folder / "mine.xlsx").write_bytes(captured())
    for name in (f"PRDM-{DIGITS}-67072.png", f"PRDM-{DIGITS}-90025.png"):
        (folder / "media" / name).write_bytes(picture((9, 9, 9), (0, 0, 0)))
    # Neither is a picture of the sheet Media.
    (folder / "media" / f"{PRODUCT}.png").write_bytes(b"icon")
    (folder / "media" / "notes.txt").write_bytes(b"notes")
    assert "media" not in run("import", str(folder / "mine.xlsx"))
    assert ProductMedia.objects.filter(product=PRODUCT).count() == 2


def test_error_is_one_line_with_sheet_and_cell(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "mine.xlsx"
    file.write_bytes(changed(captured(), {"Items!F2": "gift"}))
    with pytest.raises(Failed) as failed:
        run("import", str(file))
    assert failed.value.code == 1
    assert str(failed.value) == (
        'Error: POST /sandbox/products/import: 400 Items!F2: "gift" is not a valid choice.'
    )
    assert not Product.objects.filter(pk=PRODUCT).exists()
    with pytest.raises(Failed, match="VA-000-404 does not exist") as failed:
        run("import", str(file), "--vendor", "VA-000-404")
    assert failed.value.code == 1
    with pytest.raises(Failed, match=r"no\.xlsx cannot be read: No such file") as failed:
        run("import", str(tmp_path / "no.xlsx"))
    assert failed.value.code == 2


def test_exported_product_is_imported_again(run: Run, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    file = Path("out") / "suite.xlsx"
    assert run("export", SUITE, "-o", str(file)).splitlines() == [
        f"Exported {SUITE} to out/suite.xlsx.", "Pictures: 3 in out/media.",
    ]  # fmt: skip
    assert sorted(path.name for path in (tmp_path / "out" / "media").iterdir()) == [
        f"{SUITE}.svg", "PRDM-362-917-440-10001.png", "PRDM-362-917-440-10002.png",
    ]  # fmt: skip
    name = "Nimbus Secure Suite"
    assert run("import", str(file)).splitlines() == [
        f"No changes to {SUITE} {name}.", "Not imported: icon.",
    ]  # fmt: skip
    Item.objects.filter(pk=f"{SUITE}-0001").update(name="Changed here")
    assert run("import", str(file)).splitlines()[1] == f"  Items {SUITE}-0001: Name"


def test_export_has_a_default_name_and_errors_in_one_line(run: Run, tmp_path: Path) -> None:
    answer = json.loads(run("export", "PRD-814-505-018", "--json"))
    assert answer == {
        "file": "PRD-814-505-018.xlsx", "pictures": ["media/PRD-814-505-018.svg"],
    }  # fmt: skip
    with pytest.raises(Failed, match="Object `PRD-000-000-404` not found") as failed:
        run("export", "PRD-000-000-404")
    assert failed.value.code == 1
    with pytest.raises(Failed, match=r"no/x\.xlsx cannot be written: No such file") as failed:
        run("export", SUITE, "-o", "no/x.xlsx")
    assert failed.value.code == 1
