"""Mask secrets in the bodies of API calls.

JWT secrets and header values of webhooks are masked by their keys before a body is stored, even if
they are of no webhook; values of password parameters when it is shown, as the portal does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any

from requests_queue.redaction import MASK
from webhooks.http.headers import masked

# What a query compares with a secret: `eq(jwt_secret,…)`, `jwt_secret=…`, also encoded.
_COMPARED = re.compile(
    r"((?:(?:eq|ne|[gl][te]|i?like|in|out|range)(?:\(|%28)(?:jwt_secret|headers)[\w.-]*(?:,|%2C)"
    r"|(?:^|[&|(,;]|%26)(?:jwt_secret|headers)[\w.-]*(?:=|%3D)))[^&]*",
    re.IGNORECASE,
)
_VALUE = re.compile(r'("(?:structured_)?value"\s*:\s*)"(?:[^"\\]|\\.)*(?:"|$)', re.DOTALL)

_Object = dict[str, Any]


def without_compared_secrets(query: str) -> str:
    """Return a query without what it compares JWT secrets and header values with."""
    return _COMPARED.sub(rf"\1{MASK}", query)


def without_webhook_secrets(body: str) -> str:
    """Return a JSON body with JWT secrets and header values masked; none that is not valid."""
    if not body:
        return ""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return f"[not valid JSON, {len(body)} characters: left out, since it may contain secrets]"
    return _changed(value, _mask_webhook)


def without_passwords(body: str, names: Collection[str]) -> str:
    """Return a body with the values of password parameters masked, by type or by their `names`.

    In a body that is cut, or no valid JSON, all values are masked if it has such a parameter.
    """
    if '"password"' not in body and not any(f'"{name}"' in body for name in names):
        return body
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return _VALUE.sub(rf'\1"{MASK}"', body)
    return _changed(value, lambda each: _mask_password(each, names))


def _changed(value: Any, mask: Callable[[_Object], None]) -> str:
    for each in _objects(value):
        mask(each)
    return json.dumps(value, ensure_ascii=False)


def _objects(value: Any) -> Iterator[_Object]:
    """Yield the objects in a JSON value, at any depth, each before what is in it."""
    remaining = [value]
    while remaining:
        current = remaining.pop()
        if isinstance(current, list):
            remaining += current
        elif isinstance(current, dict):
            yield current
            remaining += current.values()


def _mask_webhook(each: _Object) -> None:
    for key in ("jwt_secret", "headers"):
        if value := each.get(key):
            each[key] = masked(value) if isinstance(value, dict) and key == "headers" else MASK


def _mask_password(each: _Object, names: Collection[str]) -> None:
    name = each.get("id")
    if each.get("type") == "password" or (isinstance(name, str) and name in names):
        for key in ("value", "structured_value"):
            if each.get(key):
                each[key] = MASK
