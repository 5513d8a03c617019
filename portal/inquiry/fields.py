"""A parameter as a field of the form: its control, its words, its errors."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from portal.inquiry import values
from portal.inquiry.checks import WHOLE, FieldErrors
from portal.inquiry.countries import COUNTRIES
from portal.inquiry.values import PARTS, Param, Value

Attributes = dict[str, str | bool]

# What is checked here is checked again on the server, which alone decides.
_TYPED: dict[str, Attributes] = {
    "email": {"type": "email", "inputmode": "email", "autocomplete": "email"},
    "url": {"type": "url", "inputmode": "url", "autocomplete": "url"},
    "domain": {"type": "text", "inputmode": "url", "autocomplete": "off", "autocapitalize": "none",
               "spellcheck": "false"},
    "subdomain": {"type": "text", "autocomplete": "off", "autocapitalize": "none",
                  "spellcheck": "false"},
    "password": {"type": "password", "autocomplete": "new-password"},
}  # fmt: skip
_COMPLETED = {
    "address_line1": "address-line1", "address_line2": "address-line2", "city": "address-level2",
    "state": "address-level1", "postal_code": "postal-code", "country": "country",
    "country_code": "tel-country-code", "area_code": "tel-area-code",
    "phone_number": "tel-local", "extension": "tel-extension",
}  # fmt: skip
_TEMPLATES = {
    "dropdown": "select", "choice": "radios", "checkbox": "boxes", "object": "area",
    "address": "parts", "phone": "parts",
}  # fmt: skip
_GROUPS = ("radios", "boxes", "parts")
# A text that one line can't show, or that may become one.
_LONG_TEXT = 300


@dataclass(frozen=True, slots=True)
class Control:
    """One input, box or list: its attributes, and what it is called within a group."""

    id: str
    name: str
    value: str
    label: str = ""
    chosen: bool = False
    options: tuple[tuple[str, str], ...] = ()
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Field:
    """What the template shows of a parameter."""

    id: str
    # Stays the same from one answer to the next, for the script.
    dom: str
    kind: str
    template: str
    title: str
    help: tuple[str, ...]
    problems: tuple[str, ...]
    required: bool
    readonly: bool
    controls: tuple[Control, ...]

    @property
    def is_group(self) -> bool:
        """Whether several controls make up the field."""
        return self.template in _GROUPS

    @property
    def first(self) -> str:
        """Return the id of the control that a link to the field leads to."""
        wrong = (c for c in self.controls if c.attributes.get("aria-invalid"))
        return next(wrong, self.controls[0]).id if self.controls else self.dom


def make(
    number: int,
    param: Param,
    about: Any,
    given: Value | None = None,
    wrong: FieldErrors | None = None,
) -> Field:
    """Return the field of a parameter; `about` is the product's own row of it, or None.

    `given` stands in it where the parameter doesn't have it, and `wrong` is said beside what the
    vendor says.
    """
    template = _TEMPLATES.get(param["type"], "input")
    # A password is never shown, not even the one that was just typed.
    value = values.current(param)
    if given is not None and param["type"] != "password":
        value = given
    if template == "input" and isinstance(value, str) and _is_long(param, value):
        template = "area"
    problems = _problems(param, wrong or {})
    shown = Field(
        id=param["id"],
        dom=f"field-{number}",
        kind=param["type"],
        template=template,
        title=str(param.get("title") or param["id"]),
        help=_help(param, about),
        problems=problems,
        required=values.is_on(param, "required"),
        readonly=values.is_on(param, "readonly"),
        controls=(),
    )
    placeholder = about.placeholder if about is not None else ""
    return replace(shown, controls=_controls(shown, param, value, placeholder, wrong or {}))


def _is_long(param: Param, value: str) -> bool:
    if param["type"] == "password":
        return False
    return "\n" in value or (param["type"] == "text" and len(value) > _LONG_TEXT)


def _problems(param: Param, wrong: FieldErrors) -> tuple[str, ...]:
    ours = [
        text if part == WHOLE else f"{PARTS[param['type']][part]}: {text[0].lower()}{text[1:]}"
        for part, text in wrong.items()
    ]
    said = values.error(param)
    # What we find wrong with a new value is nearer than what was said of the old one.
    return tuple(ours) or ((said,) if said else ())


def _help(param: Param, about: Any) -> tuple[str, ...]:
    lines = [str(param.get("description") or ""), about.hint if about is not None else ""]
    least, most = values.limit(param, "min_length"), values.limit(param, "max_length")
    if param["type"] in _TEMPLATES:
        least = most = None
    if least and most:
        lines.append(f"{least} to {most} characters.")
    elif least or most:
        lines.append(f"At least {least} characters." if least else f"Up to {most} characters.")
    if param["type"] == "password" and param.get("value"):
        lines.append("A password is set. Leave this empty to keep it.")
    if values.is_on(param, "readonly"):
        lines.append("This can't be changed here.")
    return tuple(line for line in lines if line)


def _controls(
    shown: Field, param: Param, value: Value, placeholder: str, wrong: FieldErrors
) -> tuple[Control, ...]:
    common = _common(shown)
    if isinstance(value, dict):
        return tuple(_part(shown, param, part, text, wrong) for part, text in value.items())
    if shown.template in ("radios", "boxes"):
        ticked = value if isinstance(value, list) else [value]
        attributes: Attributes = {"disabled": True} if shown.readonly else {}
        if shown.template == "radios" and shown.required:
            attributes["required"] = True
        return tuple(
            Control(f"{shown.dom}-{n}", values.name(param), choice, label, choice in ticked,
                    attributes=attributes)
            for n, (choice, label) in enumerate(values.choices(param))
        )  # fmt: skip
    assert isinstance(value, str)
    if shown.template == "select":
        options = values.choices(param)
        if not (value and shown.required):
            options = [("", "Choose…" if shown.required else "—"), *options]
        return (Control(shown.dom, values.name(param), value, options=tuple(options),
                        attributes=common),)  # fmt: skip
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
    found: Attributes = {"aria-describedby": f"{shown.dom}-help {shown.dom}-error"}
    if shown.problems:
        found["aria-invalid"] = "true"
    if shown.required:
        found["required"] = True
    if shown.readonly:
        found["disabled"] = True
    return found


def _lengths(param: Param) -> Attributes:
    names = {"minlength": "min_length", "maxlength": "max_length"}
    found = {shown: values.limit(param, name) for shown, name in names.items()}
    return {shown: str(number) for shown, number in found.items() if number}


def _part(shown: Field, param: Param, part: str, text: str, wrong: FieldErrors) -> Control:
    attributes: Attributes = {"autocomplete": _COMPLETED[part], "class": f"part-{part}"}
    if shown.kind == "phone":
        attributes |= {"type": "tel", "inputmode": "tel"}
    elif part != "country":
        attributes["type"] = "text"
    if part in wrong or (shown.problems and not wrong):
        attributes["aria-invalid"] = "true"
    if shown.readonly:
        attributes["disabled"] = True
    options: tuple[tuple[str, str], ...] = ()
    if part == "country":
        known = {"": "Choose…", **COUNTRIES}
        options = tuple(({text: text} | known).items() if text not in known else known.items())
    label = PARTS[shown.kind][part]
    return Control(f"{shown.dom}-{part}", values.name(param, part), text, label, options=options,
                   attributes=attributes)  # fmt: skip
