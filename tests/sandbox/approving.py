"""A handler that responds at once and works afterwards."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from tests import orders
from tests.handlers import ReceivedRequest, handler
from tests.processes import Sandbox


@dataclass
class Approving:
    """The handler: its URL, and a semaphore that is released after each request's work."""

    url: str
    worked: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))


@contextmanager
def approving(running: Sandbox, delay: float) -> Iterator[Approving]:
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
        state.worked.release()

    def respond(request: ReceivedRequest) -> int:
        thread = threading.Thread(target=work)
        threads.append(thread)
        thread.start()
        return 200

    with handler(respond) as served:
        state = Approving(served.url)
        yield state
        for thread in threads:
            thread.join()
