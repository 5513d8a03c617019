"""Clients of the web server: threads, each with a keep-alive connection."""

from __future__ import annotations

import http.client
import threading
import time
from statistics import median

from benchmarks.processes import serve


def requests(port: int, path: str, key: str, clients: int, count: int) -> dict[str, float]:
    """Send `count` requests over `clients` connections; return p50 and p99 in seconds."""
    durations: list[float] = []
    threads = [
        threading.Thread(target=_send, args=(port, path, key, count // clients, durations))
        for _ in range(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(durations) != count // clients * clients:
        raise SystemExit("a request failed")
    durations.sort()
    return {
        "p50": median(durations),
        "p99": durations[len(durations) * 99 // 100],
        "count": len(durations),
    }


def _send(port: int, path: str, key: str, count: int, durations: list[float]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for _ in range(count):
        start = time.monotonic()
        connection.request("GET", path, headers={"Authorization": f"ApiKey {key}"})
        response = connection.getresponse()
        response.read()
        if response.status != 200:
            raise SystemExit(f"{path} returned {response.status}")
        durations.append(time.monotonic() - start)
    connection.close()


if __name__ == "__main__":
    serve({"requests": requests})
