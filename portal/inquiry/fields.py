"""A parameter as a field of the form: its controls, texts and errors."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from portal.inquiry import values
from portal.inquiry.checks import WHOLE, FieldErrors
from portal.inquiry.countries import COUNTRIES
from portal.inquiry.values import PARTS, Param, Value

Attributes = dict[str, str | bool]

# The server checks all of this again.
_TYPED: dict[str, Attributes] = {
    "email": {"type": "email", "inputmode": "email", "autocomplete": "email"},
    "url": {"type": "url", "inputmode": "url", "autocomplete": "url"},
    "domain": {
        "type": "text",
        "inputmode": "url",
        "autocomplete": "off",
        "autocapitalize": "none",
        "spellcheck": "false",
    },
    "subdomain": {
        "type": "text",
        "autocomplete": "off",
        "autocapitalize": "none",
        "spellcheck": "false",
    },
    "password": {"type": "password", "autocomplete": "new-password"},
}
_COMPLETED = {
    "address_line1": "address-line1",
    "address_line2": "address-line2",
    "city": "address-level2",
    "state": "address-level1",
    "postal_code": "postal-code",
    "country": "country",
    "country_code": "tel-country-code",
    "area_code": "tel-area-code",
    "phone_number": "tel-local",
    "extension": "tel-extension",
}
_TEMPLATES = {
    "dropdown": "select",
    "choice": "radios",
    "checkbox": "boxes",
    "object": "area",
    "address": "parts",
    "phone": "parts",
}
_GROUPS = ("radios", "boxes", "parts")
# A longer text gets a text area.
_LONG_TEXT = 300


@dataclass(frozen=True, slots=True)
class Control:
    """An input, check box, radio button or select, and its label within a group."""

    id: str
    name: str
    value: str
    label: str = ""
    chosen: bool = False
    options: tuple[tuple[str, str], ...] = ()
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Field:
    """A field as the template shows it."""

    id: str
    # The same in every response, for the script.
    dom: str
    kind: str
    template: str
    title: str
    help: tuple[str, ...]
    errors: tuple[str, ...]
    required: bool
    readonly: bool
    controls: tuple[Control, ...]

    @property
    def is_group(self) -> bool:
        """Whether several controls make up the field."""
        return self.template in _GROUPS

    @property
    def first(self) -> str:
        """The id of the first control with an error, for links to the field."""
        invalid = (c for c in self.controls if c.attributes.get("aria-invalid"))
        return next(invalid, self.controls[0]).id if self.controls else self.dom


def make(
    number: int,
    param: Param,
    row: Any,
    typed: Value | None = None,
    errors: FieldErrors | None = None,
) -> Field:
    """Return the field of a parameter; `row` is the product's parameter.

    `typed` replaces the stored value, and `errors` the error that the vendor has set.
    """
    template = _TEMPLATES.get(param["type"], "input")
    # A password is never shown, not even a typed one.
    value = values.current(param)
    if typed is not None and param["type"] != "password":
        value = typed
    if template == "input" and isinstance(value, str) and _is_long(param, value):
        template = "area"
    shown = Field(
        id=param["id"],
        dom=f"field-{number}",
        kind=param["type"],
        template=template,
        title=str(param.get("title") or param["id"]),
        help=_help(param, row),
        errors=_errors(param, errors or {}),
        required=values.is_on(param, "required"),
        readonly=values.is_on(param, "readonly"),
        controls=(),
    )
    placeholder = row.placeholder if row is not None else ""
    return replace(shown, controls=_controls(shown, param, value, placeholder, errors or {}))


def _is_long(param: Param, value: str) -> bool:
    if param["type"] == "password":
        return False
    return "\n" in value or (param["type"] == "text" and len(value) > _LONG_TEXT)


def _errors(param: Param, errors: FieldErrors) -> tuple[str, ...]:
    ours = [
        text if part == WHOLE else f"{PARTS[param['type']][part]}: {text[0].lower()}{text[1:]}"
        for part, text in errors.items()
    ]
    by_vendor = values.error(param)
    # Errors of the new value replace the vendor's error of the old one.
    return tuple(ours) or ((by_vendor,) if by_vendor else ())


def _help(param: Param, row: Any) -> tuple[str, ...]:
    lines = [str(param.get("description") or ""), row.hint if row is not None else ""]
    least, most = values.limit(param, "min_length"), values.limit(param, "max_length")
    if param["type"] in _TEMPLATES:
        least = most = None
    if least and most:
        lines.append(f"{least} to {most} characters.")
    elif least or most:
        lines.append(f"At least {least} characters." if least else f"Up to {most} characters.")
    if param["type"] == "password" and param.get("value"):
        lines.append("A password is set. Leave empty to keep it.")
    if values.is_on(param, "readonly"):
        lines.append("Read-only.")
    return tuple(line for line in lines if line)


def _controls(
    shown: Field, param: Param, value: Value, placeholder: str, errors: FieldErrors
) -> tuple[Control, ...]:
    common = _common(shown)
    if isinstance(value, dict):
        return tuple(_part(shown, param, part, text, errors) for part, text in value.items())
    if shown.template in ("radios", "boxes"):
        ticked = value if isinstance(value, list) else [value]
        attributes: Attributes = {"disabled": True} if shown.readonly else {}
        if shown.template == "radios" and shown.required:
            attributes["required"] = True
        return tuple(
            Control(
                f"{shown.dom}-{n}",
                values.name(param),
                choice,
                label,
                choice in ticked,
                attributes=attributes,
            )
            for n, (choice, label) in enumerate(values.choices(param))
        )
    assert isinstance(value, str)
    if shown.template == "select":
        options = values.choices(param)
        if not (value and shown.required):
            options = [("", "Select…" if shown.required else "—"), *options]
        return (
            Control(
                shown.dom, values.name(param), value, options=tuple(options), attributes=common
            ),
        )
    attributes = {**common, **_lengths(param)}
    if shown.template == "input":
        attributes = {"type": "text", **_TYPED.get(param["type"], {}), **attributes}
        attributes.setdefault("autocomplete", "off")
    if param["type"] == "password" and param.get("value"):
        attributes.pop("required", None)
    if placeholder:
        attributes["placeholder"] = placeholder
    return (Control(shown.dom, values.name(param), value, attributes=attributes),)


def _common(shown: Field) -> Attributes:
    attributes: Attributes = {"aria-describedby": f"{shown.dom}-help {shown.dom}-error"}
    if shown.errors:
        attributes["aria-invalid"] = "true"
    if shown.required:
        attributes["required"] = True
    if shown.readonly:
        attributes["disabled"] = True
    return attributes


def _lengths(param: Param) -> Attributes:
    names = {"minlength": "min_length", "maxlength": "max_length"}
    limits = {attribute: values.limit(param, name) for attribute, name in names.items()}
    return {attribute: str(limit) for attribute, limit in limits.items() if limit}


def _part(shown: Field, param: Param, part: str, text: str, errors: FieldErrors) -> Control:
    attributes: Attributes = {"autocomplete": _COMPLETED[part], "class": f"part-{part}"}
    if shown.kind == "phone":
        attributes |= {"type": "tel", "inputmode": "tel"}
    elif part != "country":
        attributes["type"] = "text"
    if part in errors or (shown.errors and not errors):
        attributes["aria-invalid"] = "true"
    if shown.readonly:
        attributes["disabled"] = True
    options: tuple[tuple[str, str], ...] = ()
    if part == "country":
        countries = {"": "Select…", **COUNTRIES}
        options = tuple(
            ({text: text} | countries).items() if text not in countries else countries.items()
        )
    label = PARTS[shown.kind][part]
    return Control(
        f"{shown.dom}-{part}",
        values.name(param, part),
        text,
        label,
        options=options,
        attributes=attributes,
    )
