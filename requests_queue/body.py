"""What the body of a call holds, read piece by piece; what is wrong is said in Connect's words.

Used by the rules of the queues, between the API and a move.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_date, parse_datetime
from django.utils.timezone import is_naive

from requests_queue import clock
from requests_queue.errors import Invalid, Refused


def text(data: Mapping[str, Any], name: str, limit: int | None = None) -> str:
    """Return a text of the body, empty where there is none; raises Invalid."""
    value = data.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Invalid(f"{name}: Not a valid string.")
    if limit is not None and len(value) > limit:
        raise Invalid(f"{name}: Ensure this field has no more than {limit} characters.")
    return value


def mapping(value: Any, name: str) -> Mapping[str, Any]:
    """Return an object of the body, empty where there is none; raises Invalid."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise Invalid(f"{name}: Expected an object.")
    return value


def reason(data: Mapping[str, Any], limit: int | None = None) -> str:
    """Return the reason that a refusal needs; raises Refused without one."""
    given = text(data, "reason", limit).strip()
    if not given:
        raise Refused("REQ_005", "Missed fields: reason.")
    return given


def date(data: Mapping[str, Any], name: str) -> datetime | None:
    """Return a date of the body in whole seconds, UTC where it names no offset."""
    value = data.get(name)
    if value in (None, ""):
        return None
    try:
        moment = parse_datetime(value) if isinstance(value, str) else None
        if moment is None and isinstance(value, str) and parse_date(value):
            moment = parse_datetime(f"{value}T00:00:00+00:00")
    except ValueError:
        moment = None
    if moment is None:
        raise Invalid(f"{name}: Not a valid date.")
    if is_naive(moment):
        moment = moment.replace(tzinfo=clock.now().tzinfo)
    return clock.shown(moment)
