"""Resets of a running sandbox: during requests, moves of the clock and hanging handlers."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests import orders
from tests.background import Background
from tests.engines import until
from tests.handlers import handler
from tests.processes import Sandbox, restart


def reset(running: Sandbox, **body: Any) -> Any:
    response = running.call("POST", "/sandbox/reset", body)
    assert response.status_code == 200, response.text
    return response.json()


def requests_of(running: Sandbox) -> list[str]:
    return [row["id"] for row in running.as_vendor("GET", "/requests?limit=1000")]


def set_settle_time(running: Sandbox, url: str, milliseconds: int | None) -> None:
    response = running.call("POST", "/sandbox/settle", {"url": url, "ms": milliseconds})
    assert response.status_code == 200, response.text


def until_moving(running: Sandbox) -> None:
    until(lambda: running.call("GET", "/sandbox/clock").json()["moving"], "a move")


def test_hanging_request_is_dropped_and_deliveries_continue(running: Sandbox) -> None:
    before = requests_of(running)
    with handler(None) as hanging, handler(200) as fine:
        orders.webhook(running, hanging.url)
        orders.purchase(running)
        hanging.next()
        response = reset(running, patience=0.1)
        assert "in flight" in response["unsettled"][0]
        assert requests_of(running) == before
        assert running.as_vendor("GET", "/notifications/webhooks") == []
        hook = orders.webhook(running, fine.url)
        orders.purchase(running)
        fine.next()
        orders.until_stats(running, hook["id"], triggers=1, success_triggers=1)
        hanging.release.set()
        reset(running)
    assert requests_of(running) == before


def test_reset_of_an_unusual_path_does_not_wait_for_itself(running: Sandbox) -> None:
    # tests/runtime/test_http.py has the forms of a path.
    response = running.call("POST", "/%2fsandbox//reset/", {})
    assert (response.status_code, response.json()["unsettled"]) == (200, [])


def test_reset_waits_for_a_handler_that_works_after_its_response(running: Sandbox) -> None:
    approved: list[int] = []

    def approve(request: Any) -> int:
        def work() -> None:
            pk = running.as_vendor("GET", "/requests?eq(status,pending)&ordering(-created)")[0][
                "id"
            ]
            params = [{"id": "activation_id", "value": "A-1"}]
            running.as_vendor("PUT", f"/requests/{pk}", {"asset": {"params": params}})
            response = running.call("POST", f"/public/v1/requests/{pk}/approve", {})
            approved.append(response.status_code)

        threading.Timer(0.1, work).start()
        return 200

    before = requests_of(running)
    with handler(approve) as working:
        orders.webhook(running, working.url)
        orders.purchase(running)
        working.next()
        response = reset(running)
        assert approved == [200]
        assert response["unsettled"] == []
    assert requests_of(running) == before


def test_reset_with_a_settle_time_does_not_wait_for_that_of_a_handler(running: Sandbox) -> None:
    def order(url: str) -> None:
        hook = orders.webhook(running, url)
        orders.purchase(running)
        orders.until_stats(running, hook["id"], success_triggers=1)

    with handler(200) as fine:
        # Longer than a busy machine takes from the response to the reset.
        set_settle_time(running, fine.url, 60_000)
        order(fine.url)
        [waited_for] = reset(running, patience=0)["unsettled"]
        assert "may still act" in waited_for
        order(fine.url)
        assert reset(running, patience=0, settle=0)["unsettled"] == []
        set_settle_time(running, fine.url, None)


def test_concurrent_resets_and_requests(running: Sandbox) -> None:
    before = requests_of(running)
    with ThreadPoolExecutor(8) as pool:
        resets = [pool.submit(reset, running) for _ in range(3)]
        bought = [pool.submit(orders.purchase, running) for _ in range(12)]
        resets += [pool.submit(reset, running) for _ in range(2)]
        for future in (*resets, *bought):
            future.result()
    ids = [future.result()["id"] for future in bought]
    assert len(set(ids)) == len(ids)
    reset(running)
    assert requests_of(running) == before


def test_reset_ends_a_move_of_the_clock(running: Sandbox) -> None:
    with handler(None) as hanging:
        orders.webhook(running, hanging.url)
        orders.purchase(running)
        hanging.next()
        body = {"by": "1d", "patience": 20}
        moving = Background(lambda: running.call("POST", "/sandbox/clock/advance", body))
        until_moving(running)
        reset(running, patience=0)
        response = moving.result()
        assert (response.status_code, response.json()["error_code"]) == (409, "CLK_002")
    state = running.call("GET", "/sandbox/clock").json()
    assert not state["moving"] and not state["frozen"] and state["offset"] < 1
    assert running.advance("1h")["stopped_because"] == "end"
    reset(running)
    assert running.call("GET", "/sandbox/clock").json()["offset"] < 1


def test_reset_ends_waits(running: Sandbox) -> None:
    with handler(None) as hanging:
        hook = orders.webhook(running, hanging.url)
        body = {"until": {"delivered": {"webhook": hook["id"]}}, "timeout": 30}
        # The second would move the new world's clock.
        bodies = [body, {**body, "skip": True, "within": "90d"}]
        with ThreadPoolExecutor(2) as pool:
            waits = pool.map(lambda body: running.call("POST", "/sandbox/wait", body), bodies)
            orders.purchase(running)
            hanging.next()
            until_moving(running)
            reset(running, patience=0)
            for response in waits:
                assert response.status_code == 408, response.text
                assert response.json()["stopped_because"] == "reset"
    assert running.call("GET", "/sandbox/clock").json()["offset"] < 1


def test_snapshots_survive_a_restart(running: Sandbox) -> None:
    request = orders.purchase(running)
    response = running.call("POST", "/sandbox/snapshots", {"name": "one-order"})
    assert response.status_code == 201
    with_order = requests_of(running)
    reset(running)
    assert request["id"] not in requests_of(running)
    running.process.kill()
    restart(running)
    assert running.call("POST", "/sandbox/snapshots/one-order/restore").status_code == 200
    assert requests_of(running) == with_order
    orders.purchase(running)
    reset(running)
    assert request["id"] not in requests_of(running)
