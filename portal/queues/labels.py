"""Labels of what queues have: keys of the API, statuses, and queues themselves."""

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
    """Return what a key of the API is called."""
    if key in _LABELS:
        return _LABELS[key]
    words = spaced(key).split()
    found = " ".join({"id": "ID", "uid": "UID"}.get(word, word) for word in words)
    return capital(found)


def capital(text: str) -> str:
    """Return a text with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def name_of(queue: Queue) -> str:
    """Return the queue's name in addresses."""
    return str(queue.model._meta.app_label)


def one_of(queue: Queue) -> str:
    """Return what one object of the queue is called: `fulfillment request`."""
    return spaced(queue.object_class)
