"""Extensions of the plugin, against a sandbox: run by tests/plugin/test_extensions.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pytest_connect_sim import ExtensionError

FOLDER = Path(__file__).parent


def test_runner_works_until_the_end_of_the_test(connect_sim):
    product = connect_sim.product()
    extension = connect_sim.extension(FOLDER, [product])
    with Path(os.environ["RUNNERS"]).open("a") as file:
        print(extension._process.pid, file=file)
    order = connect_sim.purchase(product)
    connect_sim.expect(order).rescheduled()
    connect_sim.expect(order).task("asset_purchase_request_processing")
    [task] = extension.tasks()
    assert (task["object"]["id"], task["status"]) == (order.id, "succeeded")
    assert f"task {task['id']} with ApiKey (hidden)" in extension.output()


def test_each_test_has_extensions_of_its_own(connect_sim):
    assert connect_sim._vendor.get("/sandbox/extensions") == []


def test_fault_of_a_task_fires(connect_sim):
    product = connect_sim.product()
    connect_sim.extension(FOLDER, [product])
    fault = connect_sim.faults.add("lost_task", times=1)
    order = connect_sim.purchase(product)
    connect_sim.expect(order).task(result="lost")
    connect_sim.expect(order).task()
    assert fault.fired == 1


def test_runner_that_ends_is_an_error_with_its_output(connect_sim):
    with pytest.raises(ExtensionError, match="ended at its start:\nIt has failed"):
        connect_sim.extension(FOLDER, arguments=["--fail"])


def test_runner_that_is_not_installed_is_named(connect_sim):
    with pytest.raises(ExtensionError, match="cextrun-x is not found"):
        connect_sim.extension(FOLDER, executable="cextrun-x")


def test_runner_that_does_not_stop_is_killed(connect_sim, monkeypatch):
    monkeypatch.setattr("pytest_connect_sim.extensions.STOP", 0.1)
    extension = connect_sim.extension(FOLDER, arguments=["--stubborn"])
    process = extension._process
    extension.stop()
    assert process.returncode < 0


@pytest.mark.skipif("FAILING" not in os.environ, reason="it fails")
def test_that_fails(connect_sim):
    product = connect_sim.product()
    connect_sim.extension(FOLDER, [product])
    connect_sim.expect(connect_sim.purchase(product)).task(result="fail", within="2h")
