"""What the pages call what the queues have: statuses and keys in words, and how a status looks."""

from __future__ import annotations

from requests_queue.queues.base import Queue

_GOOD = {"approved", "accepted", "completed", "closed", "ready", "uploaded", "active",
         "delivered", "listed"}  # fmt: skip
_BAD = {"failed", "rejected", "canceled", "invalid", "ignored", "revoked", "unsupported",
        "terminated"}  # fmt: skip
_BUSY = {"pending", "processing", "reviewing", "deploying", "tiers_setup", "uploading", "revoking",
         "waiting", "calling", "terminating"}  # fmt: skip
_LABELS = {
    "id": "ID",
    "uom": "Unit",
    "mpn": "MPN",
    "params_form_url": "Inquiring form",
    "usage_file_uri": "Usage file",
    "processed_file_uri": "Processed file",
    "reconciliation": "Reconcile",
    "reconciliation_file_uri": "Reconciliation file",
    "tier_level": "Tier",
}
# A move to one of these ends an object badly.
_ENDS_BADLY = _BAD | {"deleted"}
# Moves that go the way that an object is meant to go.
_FORWARD = {"approve", "submit", "purchase", "accept", "complete", "deploy", "confirm"}


def tone(status: str) -> str:
    """Return how a status looks: good, bad, busy, or empty."""
    names = (("good", _GOOD), ("bad", _BAD), ("busy", _BUSY))
    return next((name for name, among in names if status in among), "")


def spaced(name: str) -> str:
    """Return a status in words: `tiers_setup` is `tiers setup`."""
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


def button(move: str, target: str) -> str:
    """Return the class of a move's button."""
    if target in _ENDS_BADLY or move == "revoke":
        return "button-bad"
    return "" if move in _FORWARD else "button-plain"
