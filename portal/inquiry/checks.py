"""Checks of typed values before the vendor's handler is called: errors by part of the field."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import DomainNameValidator, EmailValidator, URLValidator

from portal.inquiry import values
from portal.inquiry.values import CHOOSING, PARTS, Param, Value
from requests_queue.api import json_validation

# The key of an error of the whole field.
WHOLE = ""
FieldErrors = dict[str, str]

_DNS_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_FORMATS: dict[str, tuple[Callable[[str], Any], str]] = {
    "email": (EmailValidator(), "Enter an email address, such as name@example.com."),
    "url": (
        URLValidator(schemes=["http", "https"]),
        "Enter a complete URL, such as https://www.example.com/page.",
    ),
    "domain": (DomainNameValidator(), "Enter a domain name, such as example.com."),
    "subdomain": (
        lambda text: _match(_DNS_LABEL, text),
        "Enter up to 63 letters, digits and hyphens, without a hyphen at either end.",
    ),
    "object": (lambda text: _json(text), 'Enter a JSON object, such as {"name": "value"}.'),
}
# The required parts of an address or a phone number.
_REQUIRED = {
    "address": ("address_line1", "postal_code", "city", "country"),
    "phone": ("country_code", "phone_number"),
}
_MAX_LENGTHS = {
    "address_line1": 255,
    "address_line2": 255,
    "city": 100,
    "state": 100,
    "postal_code": 50,
    "country": 100,
    "country_code": 5,
    "area_code": 10,
    "phone_number": 25,
    "extension": 10,
}
_DIGITS = "Enter digits only."
_PATTERNS = {
    "country_code": (re.compile(r"\+?[0-9]{1,4}"), "Enter + and digits, such as +1."),
    "area_code": (re.compile(r"[0-9]+"), _DIGITS),
    "phone_number": (
        re.compile(r"\+?[0-9][0-9 ()./-]*"),
        "Enter digits, separated by spaces or hyphens.",
    ),
    "extension": (re.compile(r"[0-9]+"), _DIGITS),
}


def check(param: Param, value: Value) -> FieldErrors:
    """Return the errors of a typed value."""
    try:
        json_validation.validate_json(value)
    except ValueError as error:
        return {WHOLE: str(error)}
    if not (any(value.values()) if isinstance(value, dict) else bool(value)):
        return _missing(param)
    if isinstance(value, dict):
        return _parts(param, value)
    return _text(param, value) if isinstance(value, str) else {}


def _missing(param: Param) -> FieldErrors:
    if not values.is_on(param, "required"):
        return {}
    kind = param["type"]
    # An empty password keeps the current one.
    if kind == "password" and param.get("value"):
        return {}
    if kind in PARTS:
        return dict.fromkeys(_REQUIRED[kind], "This field is required.")
    words = {"checkbox": "Select at least one.", **dict.fromkeys(CHOOSING, "Select one.")}
    return {WHOLE: words.get(kind, "This field is required.")}


def _parts(param: Param, parts: dict[str, str]) -> FieldErrors:
    # A stored flat value has no parts to check.
    if not values.is_changed(param, parts):
        return {}
    errors: FieldErrors = {}
    for part, text in parts.items():
        if not text:
            if part in _REQUIRED[param["type"]]:
                errors[part] = "This field is required."
            continue
        pattern, message = _PATTERNS.get(part, (None, ""))
        if len(text) > _MAX_LENGTHS[part]:
            errors[part] = f"Use no more than {_MAX_LENGTHS[part]} characters."
        elif pattern and not pattern.fullmatch(text):
            errors[part] = message
    return errors


def _text(param: Param, text: str) -> FieldErrors:
    kind = param["type"]
    if kind in CHOOSING:
        is_choice = text in dict(values.choices(param))
        return {} if is_choice else {WHOLE: "Select one of the available choices."}
    least, most = values.limit(param, "min_length"), values.limit(param, "max_length")
    if least and len(text) < least:
        return {WHOLE: f"Use at least {least} characters (currently {len(text)})."}
    if most and len(text) > most:
        return {WHOLE: f"Use no more than {most} characters (currently {len(text)})."}
    validate, message = _FORMATS.get(kind, (None, ""))
    try:
        if validate:
            validate(text)
    except (ValidationError, ValueError, RecursionError):
        return {WHOLE: message}
    return {}


def _match(pattern: re.Pattern[str], text: str) -> None:
    if not pattern.fullmatch(text):
        raise ValueError(text)


def _json(text: str) -> None:
    value = json_validation.validate_json(json_validation.parse_json(text))
    if not isinstance(value, (dict, list)):
        raise ValueError(text)
