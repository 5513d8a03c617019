"""`connect-sim extension`: make one, list them, see their tasks, send one again."""

from __future__ import annotations

import re

import pytest

from tests import program
from tests.engines import until
from tests.extensions.runner import PURCHASE, runner
from tests.orders import PLAIN
from tests.processes import Sandbox
from tests.program import Failed


def test_commands_make_an_extension_and_show_its_tasks(
    running: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIM_DATA_DIR", str(running.data_dir))
    with pytest.raises(Failed, match="There is no extension"):
        program.run("extension", "tasks")
    assert "Make one" in program.run("extension", "list")
    with pytest.raises(Failed, match="PRD-1 is no product of this account"):
        program.run("extension", "add", "--product", "PRD-1")
    printed = program.run("extension", "add", "--name", "Approvals", "--product", PLAIN)
    environment = re.findall(r"ENVIRONMENT_ID=(ENV-[0-9-]+)", printed)[0]
    assert "SSL_CERT_FILE=" in printed and running.vendor_key not in printed
    assert program.run("extension").split() == [
        environment.replace("ENV", "SRVC")[:-3],
        environment,
        "products",
        "Approvals",
    ]
    assert program.run("extension", "tasks") == "No tasks.\n"
    with runner(running.url, running.vendor_key, environment) as connected:
        connected.set_up()
        program.run("queue", "add", "fulfillment", "--product", PLAIN)
        task = connected.receive()
        connected.answer(task, "fail", message="Not now.")
        name = task["options"]["task_id"]
        until(lambda: " failed " in program.run("extension", "tasks"), "the task has failed")
        [row] = program.run_json("extension", "tasks", environment)
        assert (row["id"], row["object"]["type"], row["output"]) == (name, PURCHASE, "Not now.")
        assert program.run("extension", "resubmit", name).startswith(f"{name} retrying")
        assert connected.receive()["options"]["task_id"] == name
    with pytest.raises(Failed):
        program.run("extension", "resubmit", "TQ-0000-0000-01-000001")
