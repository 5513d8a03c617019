"""What is wrong with a typed value before any vendor is asked: sentences, by part of the field."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import DomainNameValidator, EmailValidator, URLValidator

from portal.inquiry import values
from portal.inquiry.values import CHOOSING, PARTS, Param, Value
from requests_queue import json_validation

# The key of what is wrong with a field as a whole.
WHOLE = ""
FieldErrors = dict[str, str]

_DNS_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_FORMATS: dict[str, tuple[Callable[[str], Any], str]] = {
    "email": (EmailValidator(), "Enter an e-mail address, such as name@example.com."),
    "url": (
        URLValidator(schemes=["http", "https"]),
        "Enter a whole web address, such as https://www.example.com/page.",
    ),
    "domain": (DomainNameValidator(), "Enter a domain name, such as example.com."),
    "subdomain": (
        lambda text: _match(_DNS_LABEL, text),
        "Enter one word of letters, digits and dashes (no dash at either end), up to 63 of them.",
    ),
    "object": (lambda text: _json(text), 'Enter a JSON object, such as {"name": "value"}.'),
}
# What an address or a phone number needs, if it is given at all.
_NEEDED = {
    "address": ("address_line1", "postal_code", "city", "country"),
    "phone": ("country_code", "phone_number"),
}
_LONGEST = {
    "address_line1": 255, "address_line2": 255, "city": 100, "state": 100, "postal_code": 50,
    "country": 100, "country_code": 5, "area_code": 10, "phone_number": 25, "extension": 10,
}  # fmt: skip
_DIGITS = "This is made of digits."
_PATTERNS = {
    "country_code": (re.compile(r"\+?[0-9]{1,4}"), "A country code is + and digits, such as +1."),
    "area_code": (re.compile(r"[0-9]+"), _DIGITS),
    "phone_number": (
        re.compile(r"\+?[0-9][0-9 ()./-]*"),
        "A number is made of digits, and spaces or dashes between them.",
    ),
    "extension": (re.compile(r"[0-9]+"), _DIGITS),
}


def check(param: Param, given: Value) -> FieldErrors:
    """Return what is wrong with a typed value, nothing where nothing is."""
    try:
        json_validation.validate_json(given)
    except ValueError as error:
        return {WHOLE: str(error)}
    if not _any(given):
        return _missing(param)
    if isinstance(given, dict):
        return _parts(param, given)
    if isinstance(given, str):
        return _text(param, given)
    return {}


def _any(given: Value) -> bool:
    return any(given.values()) if isinstance(given, dict) else bool(given)


def _missing(param: Param) -> FieldErrors:
    if not values.is_on(param, "required"):
        return {}
    kind = param["type"]
    # An empty field keeps a password that is set.
    if kind == "password" and param.get("value"):
        return {}
    if kind in PARTS:
        return dict.fromkeys(_NEEDED[kind], "Fill this in.")
    words = {"checkbox": "Tick at least one.", **dict.fromkeys(CHOOSING, "Choose one.")}
    return {WHOLE: words.get(kind, "Fill this in.")}


def _parts(param: Param, given: dict[str, str]) -> FieldErrors:
    # A number that was stored without its parts is whole as it is.
    if not values.is_changed(param, given):
        return {}
    wrong: FieldErrors = {}
    for part, text in given.items():
        if not text:
            if part in _NEEDED[param["type"]]:
                wrong[part] = "Fill this in."
            continue
        pattern, sentence = _PATTERNS.get(part, (None, ""))
        if len(text) > _LONGEST[part]:
            wrong[part] = f"Use no more than {_LONGEST[part]} characters."
        elif pattern and not pattern.fullmatch(text):
            wrong[part] = sentence
    return wrong


def _text(param: Param, given: str) -> FieldErrors:
    kind = param["type"]
    if kind in CHOOSING:
        chosen = given in dict(values.choices(param))
        return {} if chosen else {WHOLE: "Choose one of those that are offered."}
    least, most = values.limit(param, "min_length"), values.limit(param, "max_length")
    if least and len(given) < least:
        return {WHOLE: f"Use at least {least} characters: this has {len(given)}."}
    if most and len(given) > most:
        return {WHOLE: f"Use no more than {most} characters: this has {len(given)}."}
    validate, sentence = _FORMATS.get(kind, (None, ""))
    try:
        if validate:
            validate(given)
    except (ValidationError, ValueError, RecursionError):
        return {WHOLE: sentence}
    return {}


def _match(pattern: re.Pattern[str], text: str) -> None:
    if not pattern.fullmatch(text):
        raise ValueError(text)


def _json(text: str) -> None:
    if not isinstance(
        json_validation.validate_json(json.loads(text, parse_constant=_refuse)), (dict, list)
    ):
        raise ValueError(text)


def _refuse(name: str) -> Any:
    # NaN and Infinity, which Python reads and JSON lacks.
    raise ValueError(name)
