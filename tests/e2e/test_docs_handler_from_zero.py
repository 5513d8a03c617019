"""The page docs/handler-from-zero.md: its blocks are run in their order, as they stand."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import doc_blocks
from tests.e2e import projects
from tests.engines import until
from tests.processes import Sandbox, free_port, sandbox

BLOCKS = doc_blocks.read_all("docs/handler-from-zero.md")
LEFT_OUT = {
    "sh install": "the same packages are installed from uv's cache, and the wheels of this tree",
    "sh sandbox": "the sandbox of this test is on another port, with the data of a first start",
}
FUNCTION = re.compile(r"^def approve_pending.*?(?=\n\n\n)", re.M | re.S)


@dataclass
class Terminal:
    """A terminal in the folder of the page, whose sandbox and handler have other ports."""

    folder: Path
    running: Sandbox
    port: int
    path: str

    def _variables(self) -> dict[str, str]:
        # `python -m pytest` uses the sandbox of this test, instead of starting another one.
        return {**projects.shared(self.running), "PATH": self.path}

    def _script(self, block: str) -> str:
        sandbox_port = self.running.url.rpartition(":")[2]
        return block.replace("8000", sandbox_port).replace("9000", str(self.port))

    def run(self, name: str) -> str:
        """Run a block of the page; return what it prints."""
        ended = projects.run(
            self._script(f"set -e\n{BLOCKS[name]}"), self.folder, self._variables()
        )
        assert ended.returncode == 0, f"{name}: {ended.stdout}"
        return ended.stdout

    @contextmanager
    def handler(self) -> Iterator[Path]:
        """Run the block that starts the handler; its log."""
        log = self.folder / "handler.log"
        # The signal is for the handler, and not for its shell.
        script = self._script(BLOCKS["sh handler"]).replace("\nflask", "\nexec flask")
        env = {**projects.environments.calling_loopback(), **self._variables()}
        with log.open("w") as out:
            process = subprocess.Popen(
                ["sh", "-ec", script],
                cwd=self.folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )

        def listens() -> bool:
            assert process.poll() is None, log.read_text()
            return "Running on" in log.read_text()

        try:
            until(listens, "the handler", timeout=60)
            yield log
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """A terminal after the two blocks that are left out."""
    [packages] = re.findall(r"^pip install ([a-z ]+)/\S+\.whl$", BLOCKS["sh install"], re.M)
    folder = tmp_path / "my-handler"
    folder.mkdir()
    wheels = projects.add_wheels(folder)
    python = projects.python_with("from-zero", packages.split(), wheels, projects.NEWEST)
    (folder / ".venv").symlink_to(python.parent.parent)
    with sandbox(folder / "var") as running:
        yield Terminal(folder, running, free_port(), projects.path_with(python))


def test_page_leads_to_a_handler_that_is_tested(terminal: Terminal) -> None:
    page, folder = BLOCKS, terminal.folder
    (folder / "handler.py").write_text(page["python handler.py"])
    with terminal.handler() as log:
        webhook = re.findall(r"WH-[-0-9]+", terminal.run("sh webhook"))[0]
        order = re.findall(r"PR-[-0-9]+", terminal.run("sh order"))[0]
        failed = {"until": {"failed": {"webhook": webhook}}, "timeout": 30}
        assert terminal.running.as_tester().call("POST", "/sandbox/wait", failed).ok
        why = terminal.run("sh why")
        assert "waiting" in why and "approve 400 VAL_001" in why and "is required" in why, why
        assert "HTTPError" in log.read_text() and "approved" not in log.read_text()

    source, found = FUNCTION.subn(
        lambda _: page["python approve_pending"].rstrip(), page["python handler.py"]
    )
    assert found == 1
    (folder / "handler.py").write_text(source)
    with terminal.handler() as log:
        assert " succeeded, 0 failed" in terminal.run("sh advance")
        assert f"approved {order}" in log.read_text()
        assert log.read_text().count("approved PR-") == 3
        shown = terminal.run("sh deliveries")
        assert "delivered" in shown and "waiting" not in shown

    (folder / "test_handler.py").write_text(page["python test_handler.py"])
    assert re.search(r"^=+ 2 passed", terminal.run("sh test"), re.M)
    used = """sh webhook, sh order, sh why, sh advance, sh deliveries, sh handler, sh test,
        python handler.py, python approve_pending, python test_handler.py"""
    doc_blocks.check_all_run(page, re.split(r",\s+", used), LEFT_OUT)
