"""The class of examples/testcontainers waits for a real sandbox; Docker's client is replaced."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import doc_blocks, environments
from tests.processes import ROOT, copy_first_data, environment, manage, output

EXAMPLE = ROOT / "examples" / "testcontainers"
BLOCKS = doc_blocks.read("python", "examples/testcontainers/README.md")
SCRIPT = Path(__file__).parent / "client_scripts" / "testcontainers_class.py"


def test_class_has_at_most_forty_lines() -> None:
    """It is to be copied and changed."""
    assert len((EXAMPLE / "connect_sim_container.py").read_text().splitlines()) <= 40


@pytest.mark.nightly(reason="installs testcontainers")
@pytest.mark.clients
def test_class_waits_until_the_sandbox_is_ready(tmp_path: Path) -> None:
    python = environments.python("testcontainers", (EXAMPLE / "requirements.txt").read_text())
    copy_first_data(tmp_path / "data")
    (tmp_path / "use.py").write_text(BLOCKS["use"])
    (tmp_path / "conftest.py").write_text(BLOCKS["conftest.py"])
    command = [str(python), str(SCRIPT), str(EXAMPLE), *manage("sandbox")]
    env = environment(tmp_path / "data", NO_PROXY="127.0.0.1,localhost", SIM_QUIET="true")
    printed = output(command, env, tmp_path, timeout=120)
    shown, created, exported = map(json.loads, printed.replace("'", '"').splitlines())
    assert shown["accounts"] == {"vendor": "VA-610-138", "provider": "PA-318-442"}
    assert created["status"] == "pending"
    # Of the last start.
    state = json.loads((tmp_path / "data" / "sandbox.json").read_text())
    assert exported == [state["url"], state["vendor_api_key"], state["provider_api_key"]]
