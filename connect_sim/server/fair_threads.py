"""A few threads that serve clients in turn, at a limited rate: for what people guess at.

Requests wait here without a thread of their own, so a flood of them takes none from the API. Each
address has a queue; the addresses take turns, so that one that floods delays itself only.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

logger = logging.getLogger(__name__)

MOST = 200  # pieces of work of one address that wait
SIGN_IN_PATHS = ("/sign-in/", "/admin/login/")


def is_sign_in(method: str, path: str) -> bool:
    """Return whether a request tries a name and a password."""
    return method == "POST" and path in SIGN_IN_PATHS


class FairThreads:
    """`threads` threads, each of which starts a piece of work every `interval` seconds at most.

    After work that takes longer, as hashing a password does, a thread rests for one and a half
    times as long: most of the time the processor is the API's.
    """

    def __init__(self, threads: int = 1, interval: float = 0.25) -> None:
        self._interval = interval
        self._queues: dict[str, deque[Callable[[], None]]] = {}
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        for n in range(threads):
            threading.Thread(target=self._run, name=f"sign-in-{n}", daemon=True).start()

    def submit(self, address: str, work: Callable[[], None]) -> bool:
        """Queue a piece of work; return False where its address has MOST, or after `stop`."""
        with self._changed:
            if self._stopping.is_set() or len(self._queues.get(address, ())) >= MOST:
                return False
            self._queues.setdefault(address, deque()).append(work)
            self._changed.notify()
        return True

    def stop(self) -> None:
        """End the threads; what still waits is dropped."""
        with self._changed:
            self._stopping.set()
            self._queues.clear()
            self._changed.notify_all()

    def _run(self) -> None:
        while (work := self._next()) is not None:
            started = time.monotonic()
            try:
                work()
            except BaseException:
                logger.exception("A request to sign in could not be served.")
            # After the response: who signs in doesn't wait for it.
            took = time.monotonic() - started
            self._stopping.wait(max(self._interval - took, 1.5 * took if self._interval else 0.0))

    def _next(self) -> Callable[[], None] | None:
        """Return the first work of the address whose turn it is, which then is the last one."""
        with self._changed:
            self._changed.wait_for(lambda: self._queues or self._stopping.is_set())
            if self._stopping.is_set():
                return None
            address, queue = next(iter(self._queues.items()))
            work = queue.popleft()
            del self._queues[address]
            if queue:
                self._queues[address] = queue
            return work
