"""A handler that responds at once and works afterwards."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from tests import orders
from tests.handlers import Handler, ReceivedRequest, handler
from tests.processes import Sandbox


@contextmanager
def approving(running: Sandbox, delay: float) -> Iterator[Handler]:
    """Run a handler that responds at once, and approves the new orders after a delay."""
    handlers = replace(running, headers={})
    approved: set[str] = set()
    guard, threads = threading.Lock(), list[threading.Thread]()

    def work() -> None:
        threading.Event().wait(delay)
        query = f"?eq(status,pending)&eq(asset.product.id,{orders.PLAIN})&ordering(created)"
        for request in handlers.as_vendor("GET", f"/requests{query}"):
            with guard:
                if request["id"] in approved:
                    continue
                approved.add(request["id"])
            path = f"/requests/{request['id']}"
            params = [{"id": "activation_id", "value": f"for-{request['id']}"}]
            handlers.as_vendor("PUT", path, {"asset": {"params": params}})
            handlers.as_vendor("POST", f"{path}/approve", {"activation_tile": "Done."})

    def respond(request: ReceivedRequest) -> int:
        thread = threading.Thread(target=work)
        threads.append(thread)
        thread.start()
        return 200

    with handler(respond) as served:
        yield served
        for thread in threads:
            thread.join()
