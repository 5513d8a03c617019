"""Inquiring requests, and the page of their form in a browser without scripts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.http import HttpResponse
from django.test import Client

from tests import html
from tests.api import Caller
from tests.html import Element

SUITE = "PRD-362-917-440"
# A configured reseller, and an inquiring request of another one.
RESELLER, TIER_REQUEST = "TA-6120-4478-0112", "TCR-733-508-129-003"
ADDRESS = {
    "address_line1": "1 Harbour Road", "address_line2": "", "city": "Portland", "state": "OR",
    "postal_code": "97201", "country": "US",
}  # fmt: skip
PHONE = {"country_code": "+1", "area_code": "503", "phone_number": "5550100", "extension": ""}
# A value of each type of the suite's parameters.
VALUES: dict[str, Any] = {
    "admin_email": "ada@harbour.example.com",
    "company_alias": "Harbour",
    "customer_domain": "harbour.example.com",
    "console_subdomain": "harbour",
    "data_region": "eu",
    "edition": "standard",
    "siem_url": "https://siem.harbour.example.com/collect",
    "options": {"weekly_report": True, "training": False},
    "site_address": ADDRESS,
    "security_phone": PHONE,
    "scan_policy": '{"exclude": ["/var/cache"]}',
}
# Calls the API with a method, a path and a body; returns the decoded response.
ApiCall = Callable[..., Any]


def api_of(caller: Caller) -> ApiCall:
    """Return a function that calls the API as one account, without a server."""

    def call(method: str, path: str, body: Any = None) -> Any:
        response = caller.call(method, path, body)
        assert response.status < 300, response
        return response.json

    return call


def entries(values: Mapping[str, Any], errors: Mapping[str, str] | None = None) -> list[Any]:
    """Return `params` of the API with these values and errors."""
    entries: dict[str, dict[str, Any]] = {}
    for pk, value in values.items():
        key = "structured_value" if isinstance(value, dict) else "value"
        entries[pk] = {"id": pk, key: value}
    for pk, text in (errors or {}).items():
        entries.setdefault(pk, {"id": pk})["value_error"] = text
    return list(entries.values())


def order(distributor: ApiCall, **values: Any) -> Any:
    """Order the suite for a new customer; return the request."""
    contact = {
        **ADDRESS,
        "contact": {
            "first_name": "Ada",
            "last_name": "Ray",
            "email": "ada@example.com",
            "phone_number": {},
        },
    }
    asset = {
        "connection": {"id": distributor("GET", f"/products/{SUITE}/connections")[0]["id"]},
        "items": [{"id": f"{SUITE}-0001", "quantity": 5}],
        "params": entries({**VALUES, **values}),
        "tiers": {
            "customer": {"name": "Harbour Cafe", "contact_info": contact},
            "tier1": {"id": RESELLER},
        },
    }
    return distributor("POST", "/requests", {"type": "purchase", "asset": asset})


def inquire(vendor: ApiCall, distributor: ApiCall, errors: Mapping[str, str], **values: Any) -> str:
    """Order the suite and have the vendor inquire it; return the request's id."""
    request = order(distributor, **values)
    assert request["status"] == "pending", request["status"]
    pk = str(request["id"])
    vendor("PUT", f"/requests/{pk}", {"asset": {"params": entries({}, errors)}})
    vendor("POST", f"/requests/{pk}/inquire", {})
    return pk


def link(vendor: ApiCall, pk: str) -> str:
    """Return the URL of a request's form without the host."""
    if pk.startswith("TCR-"):
        url = vendor("GET", f"/tier/config-requests/{pk}")["activation"]["link"]
    else:
        url = vendor("GET", f"/requests/{pk}")["params_form_url"]
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


class Field:
    """A field of the page: its controls, and its title, help and error."""

    def __init__(self, element: Element) -> None:
        self.words = element.raw_text
        self.parts = {e["data-part"]: e.text for e in element.all("[data-part]")}
        self.controls = [
            _control(e)
            for e in element.descendants()
            if e.tag in ("input", "select", "textarea") and e.get("type") != "hidden"
        ]

    @property
    def error(self) -> str:
        return self.parts.get("error", "").removeprefix("Error: ")

    @property
    def help(self) -> str:
        return self.parts.get("help", "")

    @property
    def control(self) -> dict[str, Any]:
        (result,) = self.controls
        return result


def _control(element: Element) -> dict[str, Any]:
    options = [option["value"] for option in element.all("option")]
    flags = {name: True for name, value in element.attributes.items() if not value}
    shown = {"tag": element.tag, "value": element.value, "options": options}
    return {**element.attributes, **flags, **shown}


class Page:
    """The form of a page: its fields by parameter, and the values that a browser sends."""

    def __init__(self, response: HttpResponse) -> None:
        self.response = response
        self.status = response.status_code
        self.html = response.content.decode()
        self.root = html.parse(self.html)
        self.text = self.root.raw_text
        self.fields = {e["data-field"]: Field(e) for e in self.root.all("[data-field]")}
        self.sent = self.root.sent()
        self.action = "".join(form["action"] for form in self.root.all("form"))
        # The status shown instead of a form if the request is not inquiring.
        self.outcome = "".join(e["data-outcome"] for e in self.root.all("[data-outcome]"))

    @property
    def errors(self) -> dict[str, str]:
        """The error of each field."""
        return {pk: field.error for pk, field in self.fields.items()}

    def body(self, **changes: Any) -> str:
        """Return the body that a browser sends with these values, by name of the control."""
        renamed = {name.replace("__", ":", 1): value for name, value in changes.items()}
        pairs = [(name, value) for name, value in self.sent if name not in renamed]
        for name, value in renamed.items():
            pairs += [(name, one) for one in (value if isinstance(value, list) else [value])]
        return urlencode(pairs)

    def send(self, client: Client, **changes: Any) -> Page:
        """Type and submit; return the resulting page."""
        return post(client, self.action, self.body(**changes))

    def check(self, client: Client, *reached: str, **changes: Any) -> Page:
        """Type, and request the check as the script does."""
        path, _, query = self.action.partition("?")
        body = self.body(**changes) + "".join(f"&reached={pk}" for pk in reached)
        return post(client, f"{path}/check?{query}", body)


def visit(client: Client, path: str) -> Page:
    """Open a page."""
    return Page(client.get(path))  # type: ignore[arg-type]


def post(client: Client, path: str, body: str | bytes) -> Page:
    """Send a form and follow redirects."""
    kind = "application/x-www-form-urlencoded"
    return Page(client.post(path, body, content_type=kind, follow=True))  # type: ignore[arg-type]
