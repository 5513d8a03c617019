"""The commands `product import` and `product export`."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from checks import sandbox_file
from requests_queue.catalog.models import Account, Item, Product, ProductMedia
from requests_queue.seed import Summary
from requests_queue.seed.products import picture
from tests import doc_blocks, program
from tests.api import PROVIDER, VENDOR, caller
from tests.program import Failed
from tests.queue.catalog.product_workbooks import DIGITS, PRODUCT, captured, changed, without_row

pytestmark = pytest.mark.django_db
SUITE = "PRD-362-917-440"
PAGE = "docs/your-product.md"
COMMANDS, SHOWN = doc_blocks.read("sh", PAGE), doc_blocks.read("text", PAGE)
# The lines of the page that are not run.
LEFT_OUT = {"ccli": "reads from Connect; tests/e2e/test_connect_cli.py runs ccli here"}
Run = Callable[..., str]


@pytest.fixture
def run(live_server: Any, seeded: Summary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`connect-sim product` with a sandbox in this process, in a folder of its own."""
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
        f"No changes to {PRODUCT} My Product.",
        left_out,
    ]
    file.write_bytes(without_row(changed(captured(), {"Items!D2": "Seat"}), "Items", 4))
    assert run("import", str(file)).splitlines() == [
        f"Updated {PRODUCT} My Product:",
        f"  Items {PRODUCT}-0001: Name",
        f"Not in the file, kept: Items {PRODUCT}-0003.",
        left_out,
    ]
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
    file = Path("out") / "suite.xlsx"
    assert run("export", SUITE, "-o", str(file)).splitlines() == [
        f"Exported {SUITE} to out/suite.xlsx.",
        "Pictures: 3 in out/media.",
    ]
    assert sorted(path.name for path in (tmp_path / "out" / "media").iterdir()) == [
        f"{SUITE}.svg",
        "PRDM-362-917-440-10001.png",
        "PRDM-362-917-440-10002.png",
    ]
    name = "Nimbus Secure Suite"
    assert run("import", str(file)).splitlines() == [
        f"No changes to {SUITE} {name}.",
        "Not imported: icon.",
    ]
    Item.objects.filter(pk=f"{SUITE}-0001").update(name="Changed here")
    assert run("import", str(file)).splitlines()[1] == f"  Items {SUITE}-0001: Name"


def test_export_has_a_default_name_and_errors_in_one_line(run: Run, tmp_path: Path) -> None:
    answer = json.loads(run("export", "PRD-814-505-018", "--json"))
    assert answer == {
        "file": "PRD-814-505-018.xlsx",
        "pictures": ["media/PRD-814-505-018.svg"],
    }
    with pytest.raises(Failed, match="Object `PRD-000-000-404` not found") as failed:
        run("export", "PRD-000-000-404")
    assert failed.value.code == 1
    with pytest.raises(
        Failed, match=r"^Error: PRD-\S+\.xlsx cannot be written: File exists"
    ) as failed:
        run("export", SUITE, "-o", "PRD-814-505-018.xlsx/x.xlsx")
    assert failed.value.code == 1


def test_commands_of_the_page_run_as_they_stand(
    run: Run, tmp_path: Path, live_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the workbook that `ccli` would write."""
    monkeypatch.setenv("SIM_DATA_DIR", str(tmp_path / "var"))
    exported = tmp_path / PRODUCT / f"{PRODUCT}.xlsx"
    exported.parent.mkdir()
    exported.write_bytes(captured())
    assert_shown("created", run_block("import"))
    shutil.rmtree(exported.parent)
    assert run_block("export").startswith(f"Exported {PRODUCT} to {PRODUCT}/{PRODUCT}.xlsx.")
    (tmp_path / f"{PRODUCT}.xlsx").write_bytes(captured())
    (tmp_path / "media").mkdir()
    name = f"PRDM-{DIGITS}-67072.png"
    (tmp_path / "media" / name).write_bytes(picture((9, 9, 9), (0, 0, 0)))
    key = json.loads((tmp_path / "var" / "sandbox.json").read_text())["vendor_api_key"]
    block = COMMANDS["curl"].replace("http://127.0.0.1:8000", live_server.url)
    env = {"PATH": os.environ["PATH"], "KEY": f"ApiKey {key}"}
    ended = subprocess.run(
        ["sh", "-euc", block], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60
    )
    assert json.loads(ended.stdout)["product"]["id"] == PRODUCT, ended.stdout + ended.stderr
    assert ProductMedia.objects.filter(product=PRODUCT).exists()


def test_messages_of_the_page_are_quoted(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "mine.xlsx"
    file.write_bytes(captured())
    run("import", str(file))
    cells = {"Items!D2": "Seat", "Ordering Parameters!I2": "-"}
    file.write_bytes(without_row(changed(captured(), cells), "Items", 4))
    updated = run("import", str(file))
    assert_shown("updated", updated)
    file.write_bytes(changed(captured(), {"Items!F2": "gift"}))
    with pytest.raises(Failed) as failed:
        run("import", str(file))
    assert_shown("refused", str(failed.value))


def run_block(name: str) -> str:
    """Run the commands of a block, and return what the last one prints."""
    printed = ""
    for line in COMMANDS[name].splitlines():
        command, *arguments = shlex.split(line, comments=True)
        if command in LEFT_OUT:
            print(f"left out: {line}: {LEFT_OUT[command]}")
            continue
        assert command == "connect-sim"
        printed = program.run(*arguments)
    return printed


def assert_shown(name: str, printed: str) -> None:
    """Check that the page shows what was printed, `…` standing for what differs."""
    for line in SHOWN[name].splitlines():
        assert re.search(re.escape(line).replace("…", ".*"), printed), f"{line}\n{printed}"
