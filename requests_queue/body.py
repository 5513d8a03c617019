"""What the body of a call holds, read piece by piece; what is wrong is said in Connect's words.

Used by the rules of the queues, between the API and a move.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.utils.dateparse import parse_date, parse_datetime

from requests_queue import json_validation
from requests_queue.errors import Invalid, MissedField


def read(stream: Any) -> Any:
    """Return the JSON of a call, None where there is no body; raises Invalid, RequestDataTooBig.

    Refused: malformed JSON, NaN, and what `storable` refuses.
    """
    # Django's own limit is for bodies that it reads itself.
    raw = stream.read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
    if len(raw) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        raise RequestDataTooBig
    if not raw.strip():
        return None
    try:
        value = json.loads(raw, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise Invalid("", "The body is not valid JSON.") from None
    try:
        return json_validation.validate_json(value)
    except json_validation.NotStorable as refused:
        raise Invalid(refused.path, str(refused)) from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def text(data: Mapping[str, Any], name: str, limit: int | None = None, *, within: str = "") -> str:
    """Return a text of the body, empty where there is none; raises Invalid.

    `within` is the path of `data` in the body, with a dot at its end.
    """
    value, path = data.get(name), f"{within}{name}"
    if isinstance(value, (int, float)):
        raise Invalid(path, "Not a valid string.")
    return text_of(value, path, limit)


def label(data: Mapping[str, Any], name: str, limit: int | None = None, *, within: str = "") -> str:
    """Return a text of the body that may come as a number, `external_uid`; raises Invalid."""
    return text_of(data.get(name), f"{within}{name}", limit)


def text_of(value: Any, path: str, limit: int | None = None) -> str:
    """Return a value as a text: null as an empty one, a number as its digits; raises Invalid.

    True, false, lists and objects are no texts.
    """
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise Invalid(path, "Not a valid string.")
    found = str(value)
    if limit is not None and len(found) > limit:
        raise Invalid(path, f"Ensure this field has no more than {limit} characters.")
    return found


def word(data: Mapping[str, Any], name: str, *, within: str = "") -> str | None:
    """Return an identifier or a word of the body, None where it is null or blank; raises Invalid.

    Unlike a text it is never a number: 0 names nothing.
    """
    value = data.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise Invalid(f"{within}{name}", "Not a valid string.")
    return value


def choice(
    data: Mapping[str, Any], name: str, words: Sequence[str], default: str | None = None
) -> str:
    """Return one of the words, `default` where the body has null, blank or nothing; raises Invalid.

    Without a default the body has to have one.
    """
    value = data.get(name)
    if value in words:
        return str(value)
    if default is None or not (value is None or value == ""):
        raise Invalid(name, f'"{value}" is not a valid choice.')
    return default


def mapping(value: Any, name: str) -> Mapping[str, Any]:
    """Return an object of the body, empty where there is none; raises Invalid."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise Invalid(name, "Expected an object.")
    return value


def id_of(value: Any, path: str) -> str | None:
    """Return the id in an object of the body that names another one, None where it names none.

    Raises Invalid: what isn't a text is no id, false and 0 included.
    """
    return word(mapping(value, path), "id", within=f"{path}.")


def reason(data: Mapping[str, Any], limit: int | None = None) -> str:
    """Return the reason that a refusal needs; raises MissedField without one."""
    given = text(data, "reason", limit).strip()
    if not given:
        raise MissedField("reason")
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
        raise Invalid(path, "This field is required.")
    try:
        found = parse_datetime(value) if isinstance(value, str) else None
        if found is None and isinstance(value, str) and (day := parse_date(value)):
            found = datetime(day.year, day.month, day.day)
        if found is not None:
            known = found if found.tzinfo else found.replace(tzinfo=UTC)
            return known.astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError):
        pass
    raise Invalid(path, "Not a valid date.")
