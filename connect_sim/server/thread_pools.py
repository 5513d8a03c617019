"""Thread pools that run Django: a plain one, and one that serves client addresses in turn.

Unlike ThreadPoolExecutor's, the threads are daemons: Python doesn't wait for them at exit, so a
second signal ends the process at once, even while a request hangs.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue

logger = logging.getLogger(__name__)

Job = Callable[[], None]

MAX_QUEUED = 200  # jobs of one address
SIGN_IN_PATHS = ("/sign-in/", "/admin/login/")


class ThreadPool:
    """At most `size` threads, started on demand."""

    def __init__(self, size: int, name: str) -> None:
        self._size, self._name = size, name
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._threads: list[threading.Thread] = []
        self._is_stopped = False

    def submit(self, job: Job) -> None:
        """Run a job in a thread; called in the event loop's thread only."""
        self._jobs.put(job)
        if not self._idle.acquire(blocking=False) and len(self._threads) < self._size:
            name = f"{self._name}-{len(self._threads)}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """End each thread after its current job, and drop queued jobs."""
        self._is_stopped = True
        for _ in self._threads:
            self._jobs.put(None)

    def _work(self) -> None:
        while True:
            try:
                job = self._jobs.get_nowait()
            except Empty:
                self._idle.release()
                job = self._jobs.get()
            if job is None or self._is_stopped:
                return
            _run(job)
            del job


class FairThreadPool:
    """Threads that serve client addresses in turn, one job per `interval` seconds each.

    For sign-in attempts: queued jobs occupy no thread of the API, and an address with many attempts
    delays only its own. After a long job, such as hashing a password, a thread pauses for 1.5 times
    the job's duration, which leaves most CPU time to the API.
    """

    def __init__(self, threads: int = 1, interval: float = 0.25) -> None:
        self._interval = interval
        self._queues: dict[str, deque[Job]] = {}
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        for n in range(threads):
            threading.Thread(target=self._work, name=f"sign-in-{n}", daemon=True).start()

    def submit(self, address: str, job: Job) -> bool:
        """Queue a job; return False if the address has MAX_QUEUED, or after `stop`."""
        with self._changed:
            if self._stopping.is_set() or len(self._queues.get(address, ())) >= MAX_QUEUED:
                return False
            self._queues.setdefault(address, deque()).append(job)
            self._changed.notify()
        return True

    def stop(self) -> None:
        """End the threads, and drop queued jobs."""
        with self._changed:
            self._stopping.set()
            self._queues.clear()
            self._changed.notify_all()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            started = time.monotonic()
            _run(job)
            # After the response: the client does not wait for the pause.
            duration = time.monotonic() - started
            pause = max(self._interval - duration, 1.5 * duration) if self._interval else 0.0
            self._stopping.wait(pause)

    def _next(self) -> Job | None:
        """Return the first job of the next address, and move that address to the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._queues or self._stopping.is_set())
            if self._stopping.is_set():
                return None
            address, queue = next(iter(self._queues.items()))
            job = queue.popleft()
            del self._queues[address]
            if queue:
                self._queues[address] = queue
            return job


def is_sign_in(method: str, path: str) -> bool:
    """Return whether a request submits a user name and a password."""
    return method == "POST" and path in SIGN_IN_PATHS


def _run(job: Job) -> None:
    try:
        job()
    except BaseException:
        logger.exception("A request could not be served.")
