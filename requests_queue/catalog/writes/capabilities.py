"""Capabilities in a product's PUT: a part of the tree, merged into what is stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework.exceptions import ValidationError

from requests_queue.api.fields import AnyCaseChoice, Boolean, Choice, Free, List, String, Values

_OFFLINE = ("no", "auto", "allowed")
_EDITS = {"editable_ordering_parameters": bool, "editable_fulfillment_parameters": bool}
_CHECKS = {"validation": bool, "inquiring_validation": bool}

# As `dp.ProductCapabilities` of the document has them: a switch, words, a list of texts, a branch.
TREE: Mapping[str, Any] = {
    "ppu": {
        "ppu": bool,
        "schema": ("TR", "CR", "PR", "QT"),
        "dynamic": bool,
        "predictive": bool,
        "future": bool,
        "late": bool,
        "required_custom_fields": list,
    },
    "reservation": {"consumption": bool},
    "cart": {"validation": bool},
    "inquiring": {"validation": bool},
    "tiers": {
        "updates": bool,
        "configs": {
            "configs": bool,
            "level": int,
            "setup": {"inquiring_validation": bool},
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
            "enable_transfer": bool,
            "transfer_autoapprove": bool,
            **_EDITS,
            **_CHECKS,
        },
        "hold": bool,
        "schema": ("explicit", "evergreen"),
    },
}
# Branches that null switches off, and that are on where they are given without their switch.
_SWITCHED = ("ppu", "configs")


class _Level(Choice):
    """A tier: the document has words here, captured products have numbers."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the number."""
        return int(super().to_internal_value(str(data)))


class Capabilities(Free):
    """A part of `TREE`."""

    def to_internal_value(self, data: Any) -> Values:
        """Return the part; raises ValidationError."""
        return _values(super().to_internal_value(data), TREE)


def merge(old: Mapping[str, Any], new: Mapping[str, Any]) -> Values:
    """Return the capabilities with the new ones in place of theirs."""
    merged = dict(old)
    for name, value in new.items():
        before = merged.get(name)
        # A branch that is switched off keeps nothing.
        is_off = name in _SWITCHED and isinstance(value, Mapping) and value.get(name) is False
        if isinstance(value, Mapping) and not is_off:
            value = merge(before if isinstance(before, Mapping) else {}, value)
        merged[name] = value
    return merged


def _values(data: Mapping[str, Any], tree: Mapping[str, Any]) -> Values:
    values: Values = {}
    errors = {}
    for name, value in data.items():
        try:
            values[name] = _value(name, value, tree.get(name))
        except ValidationError as error:
            errors[name] = error.detail
    if errors:
        raise ValidationError(errors)
    return values


def _value(name: str, value: Any, kind: Any) -> Any:
    if isinstance(kind, Mapping):
        if name not in _SWITCHED:
            return _values(_BRANCH.run_validation(value), kind)
        if value is None or value is False:
            return {name: False}
        branch = {name: True} | _values(_BRANCH.run_validation(value), kind)
        return branch if branch[name] else {name: False}
    field = _FIELDS.get(kind) or (AnyCaseChoice(kind) if kind else None)
    if field is None:
        raise ValidationError("Unknown capability.")
    return field.run_validation(value)


_BRANCH = Free()
_FIELDS = {bool: Boolean(), int: _Level(("1", "2")), list: List(String())}
