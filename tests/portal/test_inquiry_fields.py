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

    @property
    def row(self) -> Request:
        return Request.objects.get(pk=self.pk)

    def param(self, pk: str) -> dict[str, Any]:
        return next(p for p in self.row.params if p["id"] == pk)

    def change(self, changes: dict[str, dict[str, Any]]) -> Page:
        """Change parameters of the request; return its page."""
        row = self.row
        row.params = [{**p, **changes.get(p["id"], {})} for p in row.params]
        row.save()
        return visit(Client(), self.page.action)


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
    page = ask(*inquiry_form.VALUES).page
    errors = [(pk, "Please look at this again.") for pk in inquiry_form.VALUES]
    assert list(page.errors.items()) == errors
    address = page.fields.pop("site_address")
    assert [c["name"] for c in address.controls] == [
        f"{part}:site_address"
        for part in ("address_line1", "address_line2", "postal_code", "city", "state", "country")
    ]
    kinds = {
        pk: {(c["tag"], c.get("type")) for c in field.controls} for pk, field in page.fields.items()
    }
    assert kinds == {
        "admin_email": {("input", "email")},
        "company_alias": {("input", "text")},
        "customer_domain": {("input", "text")},
        "console_subdomain": {("input", "text")},
        "data_region": {("select", None)},
        "edition": {("input", "radio")},
        "siem_url": {("input", "url")},
        "options": {("input", "checkbox")},
        "security_phone": {("input", "tel")},
        "scan_policy": {("textarea", None)},
    }


def test_field_shows_the_products_texts(ask: Ask) -> None:
    shown = ask("admin_email", "company_alias").page.fields
    email, alias = shown["admin_email"], shown["company_alias"]
    assert (email.parts["title"], email.help) == (
        "Administrator",
        "Who is invited as the first administrator. A mailbox that is read.",
    )
    assert (alias.parts["title"], alias.help) == (
        "Short name optional",
        "How alerts name the customer. 2 to 40 characters.",
    )
    attributes = {
        "placeholder": "admin@customer.example.com",
        "required": True,
        "autocomplete": "email",
    }
    assert {name: email.control[name] for name in attributes} == attributes
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
    assert (form.send(**changes).outcome, form.row.status) == ("pending", "pending")
    param = form.param(pk)
    assert param["structured_value" if isinstance(expected, dict) else "value"] == expected
    assert expected != {} or param["value"] == ""


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
    before = form.row.params
    page = form.send(**changes)
    # The summary at the top shows it, too.
    assert (page.errors[pk], page.text.count(sentence)) == (sentence, 2)
    assert 'role="alert"' in page.html
    assert (form.row.status, form.row.params) == ("inquiring", before)
    # Typed values are kept.
    kinds = ("email", "text", "url", "tel")
    shown = {c["name"]: c["value"] for c in page.fields[pk].controls if c.get("type") in kinds}
    typed = {name.replace("__", ":"): value for name, value in changes.items()}
    assert {**shown, **{name: typed[name] for name in typed.keys() & shown.keys()}} == shown


def test_password_is_never_shown_and_kept_if_empty(
    ask: Ask, suite: Callable[..., Parameter]
) -> None:
    suite("console_password", "password", constraints={"required": True, "min_length": 8})
    form = ask("console_password", console_password="S3cret-of-the-customer")
    shown = form.page.fields["console_password"]
    assert "S3cret" not in form.page.html
    assert (shown.control["type"], shown.control["value"]) == ("password", "")
    assert "required" not in shown.control
    assert "A password is set. Leave empty to keep it." in shown.help
    too_short = form.send(value__console_password="short").fields["console_password"]
    assert "at least 8" in too_short.error and "short" not in str(too_short.controls)
    assert form.send().outcome == "pending"
    assert form.param("console_password")["value"] == "S3cret-of-the-customer"


def test_missing_password_is_required(ask: Ask, suite: Callable[..., Parameter]) -> None:
    suite("console_password", "password", constraints={"required": True})
    form = ask("company_alias", console_password="x")
    page = form.change({"console_password": {"value": ""}})
    assert page.fields["console_password"].control["required"] is True
    assert page.send(Client()).errors["console_password"] == "This field is required."
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
    errors = ask("options", "edition").send(value__options=[], value__edition="").errors
    assert errors == {"options": "Select at least one.", "edition": "Select one."}


def test_checkbox_without_choices_has_one_box(ask: Ask, suite: Callable[..., Parameter]) -> None:
    suite("terms", "checkbox", title="I accept the terms")
    form = ask("terms")
    box = form.page.fields["terms"].control
    assert (box["name"], box["value"]) == ("value:terms", "accepted")
    form.send(value__terms=["accepted"])
    assert form.param("terms")["structured_value"] == {"accepted": True}


@pytest.mark.parametrize(
    ("pk", "value", "control"),
    [
        ("company_alias", "one\ntwo", ("textarea", "one\ntwo")),
        ("company_alias", "  two spaces  ", ("input", "  two spaces  ")),
        # A number without parts.
        ("security_phone", "+15035550100", ("input", "+15035550100")),
    ],
)
def test_unchanged_value_is_shown_and_kept(
    ask: Ask, pk: str, value: str, control: tuple[str, str]
) -> None:
    form = ask(pk, **{pk: value})
    assert control in [(c["tag"], c["value"]) for c in form.page.fields[pk].controls]
    assert form.send().outcome == "pending"
    assert form.param(pk)["value"] == value


def test_unknown_country_is_kept(ask: Ask) -> None:
    form = ask("site_address", site_address={**ADDRESS, "country": "Atlantis"})
    form.send(city__site_address="Salem")
    assert form.param("site_address")["structured_value"]["country"] == "Atlantis"


def test_texts_of_others_are_escaped(ask: Ask, suite: Callable[..., Parameter]) -> None:
    nasty = '"><script>alert(1)</script><b x="'
    suite("company_alias", title=nasty, hint=nasty, placeholder=nasty, description=nasty)
    form = ask("company_alias", company_alias=nasty)
    opened = form.change({"company_alias": {"value_error": nasty}})
    for page in (opened, form.send(value__company_alias=nasty * 9)):
        found = [page.html.count(part) for part in ("<script>alert", "<b x=", "<script")]
        assert found == [0, 0, 1]


def test_structured_values_of_other_types_are_tolerated(ask: Ask) -> None:
    form = ask("options", "site_address", "scan_policy", "data_region")
    page = form.change(
        {
            "options": {"structured_value": {"weekly_report": "true", "other": 5}},
            "site_address": {"structured_value": {"city": 5, "state": None}, "value": ""},
            "scan_policy": {"structured_value": {}, "value": "not json"},
            "data_region": {"value_choices": [], "value": "eu"},
        }
    )
    assert (page.status, page.send(Client()).status) == (200, 200)
    assert page.fields["scan_policy"].control["value"] == "not json"


def test_json_is_shown_indented(ask: Ask) -> None:
    shown = ask("scan_policy").page.fields["scan_policy"].control["value"]
    assert shown == json.dumps({"exclude": ["/var/cache"]}, indent=2)
