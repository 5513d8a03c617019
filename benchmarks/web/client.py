"""Clients of the web server: threads, each with a connection that is kept."""

from __future__ import annotations

import http.client
import threading
import time
from statistics import median

from benchmarks.pipes import serve


def requests(port: int, path: str, key: str, clients: int, count: int) -> dict[str, float]:
    """Send `count` requests over so many connections and return the p50 and p99 in seconds."""
    took: list[float] = []
    threads = [
        threading.Thread(target=_send, args=(port, path, key, count // clients, took))
        for _ in range(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(took) != count // clients * clients:
        raise SystemExit("a request failed")
    took.sort()
    return {"p50": median(took), "p99": took[len(took) * 99 // 100], "count": len(took)}


def _send(port: int, path: str, key: str, count: int, took: list[float]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for _ in range(count):
        began = time.monotonic()
        connection.request("GET", path, headers={"Authorization": f"ApiKey {key}"})
        response = connection.getresponse()
        response.read()
        if response.status != 200:
            raise SystemExit(f"{path} answered {response.status}")
        took.append(time.monotonic() - began)
    connection.close()


if __name__ == "__main__":
    serve({"requests": requests})
