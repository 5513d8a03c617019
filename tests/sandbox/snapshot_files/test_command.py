"""The commands `snapshot export` and `snapshot import`."""

from __future__ import annotations

import io
import json
import os
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from checks import sandbox_file
from connect_sim.cli import program as commands
from tests import program
from tests.api import Caller
from tests.program import Failed
from tests.sandbox import worlds
from tests.sandbox.worlds import Rows, ok

pytestmark = pytest.mark.django_db(transaction=True)
Run = Callable[..., str]
SECRET = "canary-0123456789"


@pytest.fixture
def run(
    live_server: Any,
    saved: Rows,
    vendor: Caller,
    distributor: Caller,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """`connect-sim snapshot` with a sandbox in this process, in a folder of its own."""
    keys = [vendor.key or "", distributor.key or ""]
    folder = tmp_path / "here"
    sandbox_file.write(folder / "var", sandbox_file.Sandbox(live_server.url, *keys))
    monkeypatch.chdir(folder)
    return lambda *arguments: program.run("--data-dir", "var", "snapshot", *arguments)


def test_file_is_written_and_imported(run: Run, vendor: Caller) -> None:
    hook = worlds.webhook(vendor, "http://127.0.0.1:9/", headers={"X-Key": SECRET})
    run("save", "two")
    file = Path("two.jsonl.gz")
    file.write_bytes(b"an older one")
    assert run("export", "two", str(file)) == "Exported two to two.jsonl.gz.\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in Path().iterdir() if each.name != "var"] == ["two.jsonl.gz"]
    answer = json.loads(run("export", "two", str(file), "--json"))
    assert answer == {"file": "two.jsonl.gz", "bytes": file.stat().st_size}
    lines = run("import", str(file), "--name", "three").splitlines()
    assert lines[0] == "Imported three."
    assert lines[1] == f"New secrets of webhooks: {hook['id']}."
    assert lines[2].startswith("New secrets of products: PRD-")
    assert lines[3] == f"Headers of {hook['id']} without their values: X-Key."
    answer = json.loads(run("import", str(file), "--replace", "--json"))
    assert (answer["snapshot"]["name"], answer["headers"]) == ("two", {hook["id"]: ["X-Key"]})
    assert run("restore", "three", "--patience", "0").startswith("Restored three in ")
    assert ok(vendor.get(f"/notifications/webhooks/{hook['id']}"))


def test_secrets_come_with_a_warning(
    run: Run, vendor: Caller, capfd: pytest.CaptureFixture[str]
) -> None:
    hook = worlds.webhook(vendor, "http://127.0.0.1:9/", headers={"X-Key": SECRET})
    run("save", "two")
    arguments = ["--data-dir", "var", "snapshot", "export", "two", "two.gz", "--with-secrets"]
    assert commands.run(arguments) == 0
    assert capfd.readouterr().err.startswith("Warning: The file contains secrets of webhooks")
    assert hook["id"] not in run("import", "two.gz", "--replace")


def test_standard_streams(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("save", "two")
    out = SimpleNamespace(buffer=io.BytesIO(), flush=lambda: None)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", io.TextIOWrapper(out.buffer))
        assert commands.run(["--data-dir", "var", "snapshot", "export", "two", "-"]) == 0
        sys.stdout.flush()
        content = out.buffer.getvalue()
    assert content.startswith(b"\x1f\x8b")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert run("import", "-", "--name", "three").startswith("Imported three.")
    with pytest.raises(Failed, match="--json needs a FILE"):
        run("export", "two", "-", "--json")


def test_pipes_are_written_to_and_links_stay(run: Run) -> None:
    run("save", "two")
    content, pipe = [], Path("pipe")
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: content.append(pipe.read_bytes()), daemon=True)
    reader.start()
    run("export", "two", str(pipe))
    reader.join(60)
    assert content[0].startswith(b"\x1f\x8b") and pipe.is_fifo()
    Path("link.gz").symlink_to("target.gz")
    for _ in range(2):
        run("export", "two", "link.gz")
        assert Path("link.gz").is_symlink() and Path("target.gz").read_bytes() == content[0]
    run("export", "two", "/dev/null")
    assert Path("/dev/null").is_char_device()
    assert {each.name for each in Path().iterdir()} == {"var", "pipe", "link.gz", "target.gz"}


def test_file_without_an_end_is_not_sent(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Failed, match="/dev/zero is larger than 20 MiB") as failed:
        run("import", "/dev/zero")
    assert failed.value.code == 2
    with Path("/dev/zero").open() as zeros:
        monkeypatch.setattr(sys, "stdin", zeros)
        with pytest.raises(Failed, match="- is larger than 20 MiB"):
            run("import", "-")


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ("export none none.gz", 1, "404 Object `none` not found."),
        ("export two no/such/folder.gz", 1, "no/such/folder.gz cannot be written: No such file"),
        ("import none.gz", 2, "none.gz cannot be read: No such file or directory."),
        ("import wrong.gz", 1, "400 file: The file is not a snapshot of Connect Sim."),
        ("import two.gz", 1, "409 The snapshot two exists already."),
        ("import two.gz --name Two", 1, "400 name: A name has up to 64 characters"),
    ],
)
def test_error_is_one_line(run: Run, arguments: str, code: int, text: str) -> None:
    run("save", "two")
    run("export", "two", "two.gz")
    Path("wrong.gz").write_text("wrong")
    with pytest.raises(Failed, match=re.escape(text)) as failed:
        run(*arguments.split())
    assert failed.value.code == code and "\n" not in str(failed.value)
