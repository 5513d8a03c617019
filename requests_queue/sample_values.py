"""Plausible values of parameters, by type: for samples, and for handlers that only play."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TEXTS = {
    "email": "ada@harbour-cafe.example.com",
    "url": "https://harbour-cafe.example.com/welcome",
    "domain": "harbour-cafe.example.com",
    "subdomain": "harbour-cafe",
    "password": "sample-Passw0rd",
    "object": "{}",
}
_STRUCTURED: dict[str, dict[str, Any]] = {
    "address": {
        "address_line1": "1 Harbour Road",
        "address_line2": "",
        "city": "Portland",
        "state": "OR",
        "postal_code": "97201",
        "country": "US",
    },
    "phone": {
        "country_code": "+1",
        "area_code": "503",
        "phone_number": "5550100",
        "extension": "",
    },
}


def fill(param: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Return `{id, value | structured_value}` for a parameter as the API shows it.

    `text` is for parameters of type text. The value keeps to choices and length.
    """
    kind = param["type"]
    choices = param.get("value_choices") or []
    if kind == "checkbox":
        ticked = {choice["value"]: True for choice in choices[:1]} or {"accepted": True}
        return {"id": param["id"], "structured_value": ticked}
    if kind in _STRUCTURED:
        return {"id": param["id"], "structured_value": _STRUCTURED[kind]}
    if choices:
        return {"id": param["id"], "value": choices[0]["value"]}
    limits = param.get("constraints") or {}
    value = _TEXTS.get(kind, text)
    value = value.ljust(int(limits.get("min_length") or 0), "0")
    return {"id": param["id"], "value": value[: int(limits.get("max_length") or len(value))]}
