"""Scrapes in tests: the samples of a text, by name and labels."""

from __future__ import annotations

import http.client
from collections.abc import Iterable
from urllib.parse import urlsplit

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

KEY = "a-key-of-the-test-for-metrics-that-is-long-enough"
Samples = dict[str, float]


def fetch(url: str, key: str = "", timeout: float = 10) -> tuple[int, str]:
    """GET a URL, with a key if there is one; return the status and the whole text."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        connection.request("GET", parts.path or "/metrics", headers=headers)
        response = connection.getresponse()
        if response.length is None:
            # Lost between two lines of the headers, which http.client takes for their end.
            raise http.client.IncompleteRead(response.read())
        return response.status, response.read().decode()
    finally:
        connection.close()


def samples(text: str) -> Samples:
    """Return the samples of a text: `name{label="value"}` with sorted labels, and the value."""
    return flat(text_string_to_metric_families(text))


def flat(families: Iterable[Metric]) -> Samples:
    """Return the samples of metrics."""
    return {
        _name(sample.name, sample.labels): sample.value
        for family in families
        for sample in family.samples
    }


def _name(name: str, labels: dict[str, str]) -> str:
    inside = ", ".join(f'{key}="{labels[key]}"' for key in sorted(labels))
    return f"{name}{{{inside}}}" if inside else name


def names(text: str) -> set[str]:
    """Return the names of all samples of a text."""
    return {name.partition("{")[0] for name in samples(text)}
