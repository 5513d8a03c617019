"""What the body of a call holds, read piece by piece; what is wrong is said in Connect's words.

Used by the rules of the queues, between the API and a move.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.utils.dateparse import parse_date, parse_datetime

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


def id_of(value: Any, path: str) -> str | None:
    """Return the id in an object of the body that names another one, None where it names none.

    Raises Invalid: what isn't a text is no id, false and 0 included.
    """
    found = mapping(value, path).get("id")
    if found in (None, ""):
        return None
    if not isinstance(found, str):
        raise Invalid(f"{path}.id: Not a valid string.")
    return found


def reason(data: Mapping[str, Any], limit: int | None = None) -> str:
    """Return the reason that a refusal needs; raises Refused without one."""
    given = text(data, "reason", limit).strip()
    if not given:
        raise Refused("REQ_005", "Missed fields: reason.")
    return given


def date(data: Mapping[str, Any], name: str) -> datetime | None:
    """Return a date of the body, None where there is none; raises Invalid."""
    value = data.get(name)
    return None if value in (None, "") else moment(value, name)


def moment(value: Any, path: str) -> datetime:
    """Return a date of a body in whole seconds of UTC; raises Invalid.

    `…Z`, fractions of a second, another offset, none at all, or a day alone are all taken.
    """
    if value in (None, ""):
        raise Invalid(f"{path}: This field is required.")
    try:
        found = parse_datetime(value) if isinstance(value, str) else None
        if found is None and isinstance(value, str) and (day := parse_date(value)):
            found = datetime(day.year, day.month, day.day)
        if found is not None:
            known = found if found.tzinfo else found.replace(tzinfo=UTC)
            return known.astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError):
        pass
    raise Invalid(f"{path}: Not a valid date.")
