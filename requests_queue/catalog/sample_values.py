"""Sample values of parameters by type, for sample objects and example handlers."""

from __future__ import annotations

import secrets
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
# How a token makes a value unique, for types with a syntax.
_MARKED = {
    "email": "{token}.{value}",
    "url": "{value}/{token}",
    "domain": "{token}.{value}",
    "subdomain": "{value}-{token}",
    "object": '{{"id": "{token}"}}',
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


def fill(param: Mapping[str, Any], text: str = "") -> dict[str, Any]:
    """Return `{id, value | structured_value}` for a parameter as the API shows it.

    `text` is the value of parameters of type text, by default `sample <id>`. The value satisfies
    choices and lengths; that of a unique parameter differs each time, if the type has enough
    values.
    """
    text = text or f"sample {param['id']}"
    if (param.get("constraints") or {}).get("unique"):
        return _unique(param, text)
    return _plain(param, text)


def _unique(param: Mapping[str, Any], text: str) -> dict[str, Any]:
    token, found = secrets.token_hex(6), _plain(param, text)
    kind, structured = param["type"], found.get("structured_value") or {}
    if kind == "address":
        return {**found, "structured_value": {**structured, "address_line2": f"Unit {token}"}}
    if kind == "phone":
        number = str(10**9 + secrets.randbelow(10**9))
        return {**found, "structured_value": {**structured, "phone_number": number}}
    if kind == "checkbox" or param.get("value_choices"):
        return found
    value = _MARKED.get(kind, "{value}-{token}").format(value=found["value"], token=token)
    limit = int((param.get("constraints") or {}).get("max_length") or len(value))
    if len(value) > limit:
        # Keep the token.
        value = f"{found['value'][: max(limit - len(token) - 1, 0)]}-{token}"[-limit:]
    return {**found, "value": value}


def _plain(param: Mapping[str, Any], text: str) -> dict[str, Any]:
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
