"""Clients of the API: threads, each with a keep-alive connection."""

from __future__ import annotations

import http.client
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from urllib.parse import urlsplit


def requests(url: str, path: str, key: str, clients: int, count: int) -> dict[str, float]:
    """Send `count` requests over `clients` connections; return p50 and p99 in seconds."""

    def send(_: int) -> list[float]:
        line = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
        durations = []
        for _ in range(count // clients):
            start = time.monotonic()
            line.request("GET", path, headers={"Authorization": f"ApiKey {key}"})
            response = line.getresponse()
            response.read()
            assert response.status == 200, f"{path} returned {response.status}"
            durations.append(time.monotonic() - start)
        line.close()
        return durations

    with ThreadPoolExecutor(clients) as pool:
        ordered = sorted(value for sent in pool.map(send, range(clients)) for value in sent)
    p99 = ordered[len(ordered) * 99 // 100]
    return {"p50": median(ordered), "p99": p99, "count": len(ordered)}
