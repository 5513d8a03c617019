"""Capabilities as a product's PUT gives them: a part of the tree, merged into what is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from requests_queue.catalog.writes.given import Given

_OFFLINE = ("no", "auto", "allowed")
_EDITS = {"editable_ordering_parameters": bool, "editable_fulfillment_parameters": bool}
_CHECKS = {"validation": bool, "inquiring_validation": bool}

# As `dp.ProductCapabilities` of the document has them: a switch, words, a list of texts, a branch.
TREE: Mapping[str, Any] = {
    "ppu": {
        "ppu": bool, "schema": ("TR", "CR", "PR", "QT"), "dynamic": bool, "predictive": bool,
        "future": bool, "late": bool, "required_custom_fields": list,
    },
    "reservation": {"consumption": bool},
    "cart": {"validation": bool},
    "inquiring": {"validation": bool},
    "tiers": {
        "updates": bool,
        "configs": {
            "configs": bool, "level": int, "setup": {"inquiring_validation": bool},
            "update": _CHECKS,
        },
        "validation": bool,
    },
    "subscription": {
        "cancel": {"scheduling": bool, "offline": _OFFLINE},
        "change": {**_EDITS, **_CHECKS, "scheduling": bool, "simultaneous_adjustment": bool},
        "parameter": {"versions": bool},
        "purchase": {"scheduling": bool},
        "resume": {"scheduling": bool},
        "suspend": {"scheduling": bool, "offline": _OFFLINE},
        "renew": {"enable_renew": bool, **_EDITS, **_CHECKS, "scheduling": bool},
        "transfer": {
            "enable_transfer": bool, "transfer_autoapprove": bool, **_EDITS, **_CHECKS,
        },
        "hold": bool,
        "schema": ("explicit", "evergreen"),
    },
}  # fmt: skip
# Branches that null switches off, and that are on where they are given without their switch.
_SWITCHED = ("ppu", "configs")


def merge(old: Mapping[str, Any], given: Given) -> dict[str, Any]:
    """Return the capabilities with the given ones in place of theirs; raises Invalid."""
    return _merge(old, given, TREE)


def _merge(old: Mapping[str, Any], given: Given, tree: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(old)
    for name, value in given.data.items():
        kind = tree.get(name)
        if kind is None:
            raise given.wrong(name, "Unknown capability.")
        if isinstance(kind, Mapping):
            found[name] = _branch(name, value, old.get(name), given, kind)
        else:
            found[name] = _leaf(name, given, kind)
    return found


def _branch(name: str, value: Any, old: Any, given: Given, tree: Mapping[str, Any]) -> Any:
    if name in _SWITCHED and (value is None or value is False):
        return {name: False}
    before = old if isinstance(old, Mapping) else {}
    found = _merge(before, given.inner(name), tree)
    if name not in _SWITCHED:
        return found
    # What is switched off keeps nothing that could still be found on.
    return {**found, name: True} if value.get(name, True) else {name: False}


def _leaf(name: str, given: Given, kind: Any) -> Any:
    if kind is bool:
        return given.switch(name)
    if kind is int:
        # The document has words here, captured products have numbers.
        return int(Given({name: str(given.data[name])}, given.path).choice(name, ("1", "2")))
    if kind is list:
        texts = given.several(name)
        if not all(isinstance(text, str) for text in texts):
            raise given.wrong(name, "Not a valid string.")
        return texts
    return given.choice(name, kind)
