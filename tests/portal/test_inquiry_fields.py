"""Fields of the inquiring form: controls, values and errors of each type."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from django.test import Client

from requests_queue.catalog.models import Parameter
from requests_queue.queues.fulfillment.models import Request
from tests.api import Caller
from tests.portal import inquiry_form
from tests.portal.inquiry_form import ADDRESS, PHONE, SUITE, Page, api_of, visit

pytestmark = pytest.mark.django_db


class Opened(NamedTuple):
    """An open form and its request."""

    pk: str
    page: Page

    def send(self, **changes: Any) -> Page:
        return self.page.send(Client(), **changes)

    def param(self, pk: str) -> dict[str, Any]:
        row = Request.objects.get(pk=self.pk)
        return next(p for p in row.params if p["id"] == pk)

    @property
    def status(self) -> str:
        return Request.objects.get(pk=self.pk).status


Ask = Callable[..., Opened]


@pytest.fixture
def ask(vendor: Caller, distributor: Caller) -> Ask:
    """Return a function that opens the form of a new request for these parameters."""

    def opened(*names: str, **values: Any) -> Opened:
        errors = dict.fromkeys(names, "Please look at this again.")
        pk = inquiry_form.inquire(api_of(vendor), api_of(distributor), errors, **values)
        return Opened(pk, visit(Client(), inquiry_form.link(api_of(vendor), pk)))

    return opened


@pytest.fixture
def suite(seeded: Any) -> Callable[..., Parameter]:
    """Return a function that adds or changes an ordering parameter of the suite."""

    def change(name: str, kind: str = "", **more: Any) -> Parameter:
        row, _ = Parameter.objects.get_or_create(
            product_id=SUITE,
            name=name,
            defaults={
                "type": kind,
                "title": name,
                "scope": "asset",
                "phase": "ordering",
                "number": 900 + Parameter.objects.count(),
                "created": "2026-01-01T00:00:00Z",
                "updated": "2026-01-01T00:00:00Z",
            },
        )
        for key, value in more.items():
            setattr(row, key, value)
        row.save()
        return row

    return change


def test_each_type_has_its_control(ask: Ask) -> None:
    fields = ask(*inquiry_form.VALUES).page.fields
    assert list(fields) == list(inquiry_form.VALUES)
    kinds = {pk: {(c["tag"], c.get("type")) for c in fields[pk].controls} for pk in fields}
    one = {pk: kind for pk, each in kinds.items() for kind in each if len(each) == 1}
    assert one == {
        "admin_email": ("input", "email"),
        "company_alias": ("input", "text"),
        "customer_domain": ("input", "text"),
        "console_subdomain": ("input", "text"),
        "data_region": ("select", None),
        "edition": ("input", "radio"),
        "siem_url": ("input", "url"),
        "options": ("input", "checkbox"),
        "security_phone": ("input", "tel"),
        "scan_policy": ("textarea", None),
    }
    assert [c["name"] for c in fields["site_address"].controls] == [
        f"{part}:site_address"
        for part in ("address_line1", "address_line2", "postal_code", "city", "state", "country")
    ]
    assert all(shown.error == "Please look at this again." for shown in fields.values())


def test_field_shows_the_products_texts(ask: Ask) -> None:
    shown = ask("admin_email", "company_alias").page.fields
    email, alias = shown["admin_email"], shown["company_alias"]
    assert email.parts["title"] == "Administrator"
    assert email.help == "Who is invited as the first administrator. A mailbox that is read."
    assert email.control["placeholder"] == "admin@customer.example.com"
    assert email.control["required"] is True
    assert email.control["autocomplete"] == "email"
    assert alias.parts["title"] == "Short name optional"
    assert alias.help == "How alerts name the customer. 2 to 40 characters."
    assert (alias.control["minlength"], alias.control["maxlength"]) == ("2", "40")


def test_each_control_is_described_by_its_help_and_error(ask: Ask) -> None:
    page = ask(*inquiry_form.VALUES).page
    for shown in page.fields.values():
        first = shown.controls[0]
        if "aria-describedby" in first:
            assert first["aria-invalid"] == "true"
            for name in first["aria-describedby"].split():
                assert page.html.count(f'id="{name}"') == 1


# Typed values, and the resulting values of the request.
TAKEN: list[tuple[str, dict[str, Any], Any]] = [
    ("admin_email", {"value__admin_email": " noor@cedar.example.com "}, "noor@cedar.example.com"),
    ("company_alias", {"value__company_alias": "Cedar & <Pine>"}, "Cedar & <Pine>"),
    ("company_alias", {"value__company_alias": ""}, ""),
    ("customer_domain", {"value__customer_domain": "cedar.example.com"}, "cedar.example.com"),
    ("customer_domain", {"value__customer_domain": "bücher.example"}, "bücher.example"),
    ("console_subdomain", {"value__console_subdomain": "cedar-1"}, "cedar-1"),
    ("data_region", {"value__data_region": "uk"}, "uk"),
    ("data_region", {"value__data_region": ""}, ""),
    ("edition", {"value__edition": "advanced"}, "advanced"),
    ("siem_url", {"value__siem_url": "http://10.0.0.7:8080/in"}, "http://10.0.0.7:8080/in"),
    ("options", {"value__options": ["training"]}, {"weekly_report": False, "training": True}),
    ("options", {"value__options": []}, {"weekly_report": False, "training": False}),
    (
        "site_address",
        {"city__site_address": "Salem", "address_line2__site_address": "Floor 2"},
        {**ADDRESS, "city": "Salem", "address_line2": "Floor 2"},
    ),
    (
        "site_address",
        {f"{part}__site_address": "" for part in ADDRESS},
        {},
    ),
    (
        "security_phone",
        {"phone_number__security_phone": "555 01-11"},
        {**PHONE, "phone_number": "555 01-11"},
    ),
    ("scan_policy", {"value__scan_policy": '{"a":\r\n [1]}'}, {"a": [1]}),
    ("scan_policy", {"value__scan_policy": ""}, {}),
]


@pytest.mark.parametrize(("pk", "changes", "expected"), TAKEN)
def test_typed_values_are_stored(ask: Ask, pk: str, changes: dict[str, Any], expected: Any) -> None:
    form = ask(pk)
    page = form.send(**changes)
    assert page.outcome == "pending"
    key = "structured_value" if isinstance(expected, dict) else "value"
    param = form.param(pk)
    assert param[key] == expected
    assert form.status == "pending"
    if expected == {}:
        assert param["value"] == ""


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("admin_email", {"value__admin_email": ""}, "This field is required."),
    ("admin_email", {"value__admin_email": "ada"},
     "Enter an email address, such as name@example.com."),
    ("company_alias", {"value__company_alias": "H"}, "Use at least 2 characters (currently 1)."),
    ("company_alias", {"value__company_alias": "H" * 41},
     "Use no more than 40 characters (currently 41)."),
    ("customer_domain", {"value__customer_domain": "no domain"},
     "Enter a domain name, such as example.com."),
    ("console_subdomain", {"value__console_subdomain": "-dash"},
     "Enter up to 63 letters, digits and hyphens, without a hyphen at either end."),
    ("data_region", {"value__data_region": "mars"}, "Select one of the available choices."),
    ("edition", {"value__edition": "gold"}, "Select one of the available choices."),
    ("siem_url", {"value__siem_url": "javascript:alert(1)"},
     "Enter a complete URL, such as https://www.example.com/page."),
    ("siem_url", {"value__siem_url": "siem.example.com"},
     "Enter a complete URL, such as https://www.example.com/page."),
    ("site_address", {"city__site_address": "", "country__site_address": ""},
     "City: this field is required. Country: this field is required."),
    ("site_address", {"city__site_address": "x" * 101}, "City: use no more than 100 characters."),
    ("security_phone", {"country_code__security_phone": "one"},
     "Country code: enter + and digits, such as +1."),
    ("security_phone", {"phone_number__security_phone": ""}, "Number: this field is required."),
    ("security_phone", {"area_code__security_phone": "x1"},
     "Area code: enter digits only."),
    ("security_phone", {"phone_number__security_phone": "call me"},
     "Number: enter digits, separated by spaces or hyphens."),
    *(
        ("scan_policy", {"value__scan_policy": text},
         'Enter a JSON object, such as {"name": "value"}.')
        for text in ("{", "7", "[NaN]", "1e999", "[" * 100_000, '{"a": "\\u0000"}')
    ),
    ("company_alias", {"value__company_alias": "a\0b"},
     "This contains characters that cannot be stored (NUL or half a surrogate pair)."),
]  # fmt: skip


@pytest.mark.parametrize(("pk", "changes", "sentence"), WRONG)
def test_errors_are_shown_at_their_field_and_nothing_is_stored(
    ask: Ask, pk: str, changes: dict[str, Any], sentence: str
) -> None:
    form = ask(pk)
    before = form.param(pk)
    page = form.send(**changes)
    assert page.fields[pk].error == sentence
    # The summary at the top shows it, too.
    assert page.text.count(sentence) == 2
    assert 'role="alert"' in page.html
    assert form.param(pk) == before
    assert form.status == "inquiring"
    # Typed values are kept.
    for name, value in changes.items():
        shown = {c["name"]: c["value"] for c in page.fields[pk].controls if c["tag"] == "input"}
        kind = page.fields[pk].controls[0].get("type")
        if kind not in ("radio", None) and name.replace("__", ":") in shown:
            assert shown[name.replace("__", ":")] == value


def test_password_is_never_shown_and_kept_if_empty(
    ask: Ask, suite: Callable[..., Parameter]
) -> None:
    suite("console_password", "password", constraints={"required": True, "min_length": 8})
    form = ask("console_password", console_password="S3cret-of-the-customer")
    shown = form.page.fields["console_password"]
    assert "S3cret" not in form.page.html
    assert shown.control["type"] == "password"
    assert shown.control["value"] == ""
    assert "required" not in shown.control
    assert "A password is set. Leave empty to keep it." in shown.help
    too_short = form.send(value__console_password="short")
    assert "at least 8" in too_short.fields["console_password"].error
    assert "short" not in str(too_short.fields["console_password"].controls)
    form.send()
    assert form.param("console_password")["value"] == "S3cret-of-the-customer"
    assert form.status == "pending"


def test_missing_password_is_required(
    ask: Ask, suite: Callable[..., Parameter], vendor: Caller
) -> None:
    suite("console_password", "password", constraints={"required": True})
    form = ask("company_alias", console_password="x")
    row = Request.objects.get(pk=form.pk)
    row.params = [{**p, "value": ""} if p["id"] == "console_password" else p for p in row.params]
    row.save()
    page = visit(Client(), form.page.action)
    assert page.fields["console_password"].control["required"] is True
    again = page.send(Client())
    assert again.fields["console_password"].error == "This field is required."
    page.send(Client(), value__console_password="a new one")
    assert form.param("console_password")["value"] == "a new one"


def test_required_choice_has_no_empty_option_once_set(
    ask: Ask, suite: Callable[..., Parameter]
) -> None:
    region = Parameter.objects.get(product=SUITE, name="data_region")
    suite("data_region", constraints={**region.constraints, "required": True})
    chosen = ask("data_region").page.fields["data_region"].control
    assert chosen["options"] == ["us", "eu", "uk"]


def test_required_box_and_choice_must_be_selected(
    ask: Ask, suite: Callable[..., Parameter]
) -> None:
    for name in ("options", "edition"):
        row = Parameter.objects.get(product=SUITE, name=name)
        suite(name, constraints={**row.constraints, "required": True})
    form = ask("options", "edition")
    page = form.send(value__options=[], value__edition="")
    assert page.fields["options"].error == "Select at least one."
    assert page.fields["edition"].error == "Select one."


def test_checkbox_without_choices_has_one_box(ask: Ask, suite: Callable[..., Parameter]) -> None:
    suite("terms", "checkbox", title="I accept the terms")
    form = ask("terms")
    (box,) = form.page.fields["terms"].controls
    assert (box["name"], box["value"]) == ("value:terms", "accepted")
    form.send(value__terms=["accepted"])
    assert form.param("terms")["structured_value"] == {"accepted": True}


def test_value_keeps_its_lines(ask: Ask) -> None:
    form = ask("company_alias", company_alias="one\ntwo")
    assert form.page.fields["company_alias"].control["tag"] == "textarea"
    form.send()
    assert form.param("company_alias")["value"] == "one\ntwo"


def test_unchanged_value_keeps_its_spaces(ask: Ask) -> None:
    form = ask("company_alias", company_alias="  two spaces  ")
    form.send()
    assert form.param("company_alias")["value"] == "  two spaces  "


def test_phone_number_without_parts_is_shown_and_kept(ask: Ask) -> None:
    form = ask("security_phone", security_phone="+15035550100")
    shown = {c["name"]: c["value"] for c in form.page.fields["security_phone"].controls}
    assert shown["phone_number:security_phone"] == "+15035550100"
    form.send()
    assert form.param("security_phone")["value"] == "+15035550100"
    assert form.status == "pending"


def test_unknown_country_is_kept(ask: Ask) -> None:
    form = ask("site_address", site_address={**ADDRESS, "country": "Atlantis"})
    form.send(city__site_address="Salem")
    assert form.param("site_address")["structured_value"]["country"] == "Atlantis"


def test_texts_of_others_are_escaped(ask: Ask, suite: Callable[..., Parameter]) -> None:
    nasty = '"><script>alert(1)</script><b x="'
    suite("company_alias", title=nasty, hint=nasty, placeholder=nasty, description=nasty)
    form = ask("company_alias", company_alias=nasty)
    row = Request.objects.get(pk=form.pk)
    row.params = [{**p, "value_error": nasty} for p in row.params]
    row.save()
    for page in (visit(Client(), form.page.action), form.send(value__company_alias=nasty * 9)):
        assert "<script>alert" not in page.html
        assert "<b x=" not in page.html
        assert page.html.count("<script") == 1


def test_structured_values_of_other_types_are_tolerated(ask: Ask) -> None:
    form = ask("options", "site_address", "scan_policy", "data_region")
    row = Request.objects.get(pk=form.pk)
    odd: dict[str, Any] = {
        "options": {"structured_value": {"weekly_report": "true", "other": 5}},
        "site_address": {"structured_value": {"city": 5, "state": None}, "value": ""},
        "scan_policy": {"structured_value": {}, "value": "not json"},
        "data_region": {"value_choices": [], "value": "eu"},
    }
    row.params = [{**p, **odd.get(p["id"], {})} for p in row.params]
    row.save()
    page = visit(Client(), form.page.action)
    assert page.status == 200
    assert page.fields["scan_policy"].control["value"] == "not json"
    assert page.send(Client()).status == 200


def test_json_is_shown_indented(ask: Ask) -> None:
    shown = ask("scan_policy").page.fields["scan_policy"].control["value"]
    assert shown == json.dumps({"exclude": ["/var/cache"]}, indent=2)
