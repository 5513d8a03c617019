"""The baseline: one `requests.Session` that posts signed bodies in a loop."""

from __future__ import annotations

import time
from typing import Any

import requests

from benchmarks.processes import serve

_session = requests.Session()


def loop(posts: list[Any], count: int) -> dict[str, float]:
    """Post `count` times and return the CPU seconds per post and the posts per second."""
    for n in range(count // 10):
        _post(posts[n % len(posts)])
    cpu, start = time.process_time(), time.monotonic()
    for n in range(count):
        _post(posts[n % len(posts)])
    seconds = time.monotonic() - start
    return {"cpu": (time.process_time() - cpu) / count, "rate": count / seconds}


def _post(post: Any) -> None:
    _session.post(post["url"], data=post["body"], headers=post["headers"]).raise_for_status()


if __name__ == "__main__":
    serve({"loop": loop})
