"""Labels of queues and of keys of the API."""

from __future__ import annotations

from requests_queue.queues.base import Queue

_LABELS = {
    "id": "ID",
    "uom": "Unit",
    "mpn": "MPN",
    "params_form_url": "Inquiring form",
    "usage_file_uri": "Usage file",
    "processed_file_uri": "Processed file",
    "reconciliation_file_uri": "Reconciliation file",
    "tier_level": "Tier",
}


def spaced(name: str) -> str:
    """Return a name in words: `tier_level` is `tier level`."""
    return name.replace("_", " ")


def label(key: str) -> str:
    """Return the label of a key of the API."""
    if key in _LABELS:
        return _LABELS[key]
    words = spaced(key).split()
    text = " ".join({"id": "ID", "uid": "UID"}.get(word, word) for word in words)
    return capital(text)


def capital(text: str) -> str:
    """Return a text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def name_of(queue: Queue) -> str:
    """Return the queue's name in URLs."""
    return str(queue.model._meta.app_label)


def one_of(queue: Queue) -> str:
    """Return the label of one object of the queue: `fulfillment request`."""
    return spaced(queue.object_class)
