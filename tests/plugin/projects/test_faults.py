"""Faults of the plugin, against a sandbox: run by tests/plugin/test_with_sandbox.py."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
import requests


def call(connect_sim, path="/requests", method="GET"):
    """Call the API as a handler does."""
    headers = {"Authorization": f"ApiKey {connect_sim.vendor_key}"}
    return requests.request(method, f"{connect_sim.api_url}{path}", headers=headers, timeout=30)


@pytest.mark.connect_sim(seed=7)
@pytest.mark.parametrize("run", range(6))
def test_same_seed_draws_the_same_calls(connect_sim, run):
    fault = connect_sim.faults.add("abort", side="api", probability=0.5)
    statuses = [call(connect_sim).status_code for _ in range(12)]
    assert set(statuses) == {200, 503}
    assert fault.fired == statuses.count(503)
    with Path(os.environ.get("DRAWS", os.devnull)).open("a") as file:
        worker = os.environ.get("PYTEST_XDIST_WORKER", "")
        file.write(json.dumps([worker, statuses]) + "\n")


def test_failed_delivery_is_repeated(connect_sim, handler_url):
    product = connect_sim.product()
    webhook = connect_sim.webhook(product, handler_url)
    with connect_sim.faults.add("fail_first", webhook=webhook, n=2) as fault:
        order = connect_sim.purchase(product)
        connect_sim.expect(order).status("approved")
    # The delivery about the approval may have been sent too.
    assert fault.fired == 2 and fault.asked >= 3
    first = connect_sim.deliveries(webhook)[-1]["attempts"]
    mark = {"name": fault.name, "kind": "fail_first"}
    assert [attempt["faults"] for attempt in first] == [[mark], [mark], []]


def test_lost_response(connect_sim):
    order = connect_sim.purchase(connect_sim.product())
    params = {"activation_id": "A-1"}
    connect_sim.fill(order, params)
    connect_sim.faults.add("lost_response", path="/requests/*/approve")
    with pytest.raises(requests.ConnectionError):
        call(connect_sim, f"/requests/{order}/approve", "POST")
    assert order.status == "approved"


def test_held_responses_are_released(connect_sim):
    fault = connect_sim.faults.add("hold", path="/products")
    statuses = []
    threads = [
        threading.Thread(target=lambda: statuses.append(call(connect_sim, "/products").status_code))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    assert {each["ordinal"] for each in fault.wait_until_held(2, timeout=30)} == {1, 2}
    assert not statuses
    assert len(fault.release(1)) == 1
    connect_sim.faults.clear()
    for thread in threads:
        thread.join()
    assert statuses == [200, 200]
    assert fault.held == []


def test_restored_world_has_no_faults(connect_sim):
    connect_sim.snapshot("before")
    fault = connect_sim.faults.add("abort", side="api")
    assert call(connect_sim).status_code == 503
    connect_sim.restore("before")
    assert call(connect_sim).status_code == 200
    assert fault.fired == 1
