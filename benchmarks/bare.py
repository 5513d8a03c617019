"""The bare post that everything is compared with: one `requests.Session` in a loop."""

from __future__ import annotations

import time
from typing import Any

import requests

from benchmarks.pipes import serve

_session = requests.Session()


def loop(posts: list[Any], count: int) -> dict[str, float]:
    """Post `count` times and return what one post took of the processor, and the rate."""
    for n in range(count // 10):
        _post(posts[n % len(posts)])
    cpu, began = time.process_time(), time.monotonic()
    for n in range(count):
        _post(posts[n % len(posts)])
    seconds = time.monotonic() - began
    return {"cpu": (time.process_time() - cpu) / count, "rate": count / seconds}


def paced(posts: list[Any], rate: int, seconds: int) -> dict[str, list[float]]:
    """Post at a rate and return when each post began, by path."""
    begun: dict[str, list[float]] = {}
    start = time.monotonic()
    for n in range(rate * seconds):
        time.sleep(max(0.0, start + n / rate - time.monotonic()))
        post = posts[n % len(posts)]
        path = "/" + post["url"].split("/", 3)[3]
        begun.setdefault(path, []).append(time.monotonic())
        _post(post)
    return begun


def _post(post: Any) -> None:
    _session.post(post["url"], data=post["body"], headers=post["headers"]).raise_for_status()


if __name__ == "__main__":
    serve({"loop": loop, "paced": paced})
