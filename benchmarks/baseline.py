"""The baseline of B1: one `requests.Session` that posts signed bodies in a loop."""

from __future__ import annotations

import time
from itertools import cycle, islice
from typing import Any

import requests

_session = requests.Session()


def loop(posts: list[Any], count: int) -> dict[str, float]:
    """Post `count` times and return the CPU seconds per post and the posts per second."""
    _post(posts, count // 10)
    cpu, start = time.process_time(), time.monotonic()
    _post(posts, count)
    seconds = time.monotonic() - start
    return {"cpu": (time.process_time() - cpu) / count, "rate": count / seconds}


def _post(posts: list[Any], count: int) -> None:
    for post in islice(cycle(posts), count):
        _session.post(post["url"], data=post["body"], headers=post["headers"]).raise_for_status()
