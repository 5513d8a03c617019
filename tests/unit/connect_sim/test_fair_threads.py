"""Threads for sign-in attempts serve the client addresses in turn, at a low rate."""

from __future__ import annotations

import threading
import time
from itertools import pairwise

from connect_sim.server.thread_pools import MAX_QUEUED, FairThreadPool, is_sign_in


def test_only_sign_in_attempts_are_limited() -> None:
    assert is_sign_in("POST", "/sign-in/") and is_sign_in("POST", "/admin/login/")
    assert not is_sign_in("GET", "/sign-in/")
    assert not is_sign_in("POST", "/sign-out/")
    assert not is_sign_in("POST", "/public/v1/requests")


def test_flooding_address_delays_only_itself() -> None:
    threads = FairThreadPool(threads=1, interval=0.0)
    served: list[str] = []
    begin, done = threading.Event(), threading.Event()
    threads.submit("first", lambda: begin.wait(5) and None)
    for n in range(40):
        threads.submit("flood", lambda n=n: served.append(f"flood {n}"))
    threads.submit("other", lambda: served.append("other"))
    threads.submit("flood", done.set)
    begin.set()
    assert done.wait(5)
    assert served[:3] == ["flood 0", "other", "flood 1"] and len(served) == 41
    threads.stop()


def test_thread_starts_one_task_per_interval() -> None:
    threads = FairThreadPool(threads=1, interval=0.05)
    at: list[float] = []
    done = threading.Event()
    for _ in range(4):
        threads.submit("flood", lambda: at.append(time.monotonic()))
    threads.submit("flood", done.set)
    assert done.wait(5)
    assert all(b - a >= 0.045 for a, b in pairwise(at))
    threads.stop()


def test_failing_task_does_not_end_its_thread() -> None:
    threads = FairThreadPool(threads=1, interval=0.0)
    done = threading.Event()

    def fail() -> None:
        raise ZeroDivisionError

    threads.submit("a", fail)
    threads.submit("a", done.set)
    assert done.wait(5)
    threads.stop()
    assert not threads.submit("a", fail)


def test_queue_of_an_address_is_bounded() -> None:
    threads = FairThreadPool(threads=1, interval=0.0)
    begin, began = threading.Event(), threading.Event()
    threads.submit("flood", lambda: began.set() or (begin.wait(5) and None))
    assert began.wait(5)
    taken = [threads.submit("flood", lambda: None) for _ in range(MAX_QUEUED + 5)]
    assert taken == [True] * MAX_QUEUED + [False] * 5
    assert threads.submit("other", lambda: None)
    begin.set()
    threads.stop()
