"""Requests that a vendor has inquired, and the page of one as a browser without script has it."""

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
# A reseller who is set up for it, and a request of another one that is asked.
RESELLER, TIER_REQUEST = "TA-6120-4478-0112", "TCR-733-508-129-003"
ADDRESS = {
    "address_line1": "1 Harbour Road", "address_line2": "", "city": "Portland", "state": "OR",
    "postal_code": "97201", "country": "US",
}  # fmt: skip
PHONE = {"country_code": "+1", "area_code": "503", "phone_number": "5550100", "extension": ""}
# A value of each type that the suite asks for.
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
# Calls the API with a method, a path, a body; returns the decoded answer.
Call = Callable[..., Any]


def calls(who: Caller) -> Call:
    """Return what calls the API for one account of a test without a server."""

    def call(method: str, path: str, body: Any = None) -> Any:
        response = who.call(method, path, body)
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


def order(distributor: Call, **values: Any) -> Any:
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


def inquire(vendor: Call, distributor: Call, errors: Mapping[str, str], **values: Any) -> str:
    """Order the suite and have the vendor inquire it; return the request's id."""
    made = order(distributor, **values)
    assert made["status"] == "pending", made["status"]
    pk = str(made["id"])
    vendor("PUT", f"/requests/{pk}", {"asset": {"params": entries({}, errors)}})
    vendor("POST", f"/requests/{pk}/inquire", {})
    return pk


def link(vendor: Call, pk: str) -> str:
    """Return the address of a request's form, as the API tells it, without the host."""
    if pk.startswith("TCR-"):
        url = vendor("GET", f"/tier/config-requests/{pk}")["activation"]["link"]
    else:
        url = vendor("GET", f"/requests/{pk}")["params_form_url"]
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


class Shown:
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
    """The form of a page: its fields by parameter, and what a browser would send of it."""

    def __init__(self, response: HttpResponse) -> None:
        self.response = response
        self.status = response.status_code
        self.html = response.content.decode()
        self.root = html.parse(self.html)
        self.text = self.root.raw_text
        self.fields = {e["data-field"]: Shown(e) for e in self.root.all("[data-field]")}
        self.sent = self.root.sent()
        self.action = "".join(form["action"] for form in self.root.all("form"))
        # The status that the page of a request that can't be answered is about.
        self.outcome = "".join(e["data-outcome"] for e in self.root.all("[data-outcome]"))

    def body(self, **changes: Any) -> str:
        """Return what the browser sends once these values, by name of the control, are typed."""
        renamed = {name.replace("__", ":", 1): value for name, value in changes.items()}
        kept = [(name, value) for name, value in self.sent if name not in renamed]
        for name, value in renamed.items():
            kept += [(name, one) for one in (value if isinstance(value, list) else [value])]
        return urlencode(kept)

    def send(self, client: Client, **changes: Any) -> Page:
        """Type and send; return the page that comes back."""
        return post(client, self.action, self.body(**changes))

    def check(self, client: Client, *reached: str, **changes: Any) -> Page:
        """Type, and have it checked as the script does."""
        path, _, query = self.action.partition("?")
        body = self.body(**changes) + "".join(f"&reached={pk}" for pk in reached)
        return post(client, f"{path}/check?{query}", body)


def visit(client: Client, path: str) -> Page:
    """Open a page."""
    return Page(client.get(path))  # type: ignore[arg-type]


def post(client: Client, path: str, body: str | bytes) -> Page:
    """Send a form and follow where it leads."""
    kind = "application/x-www-form-urlencoded"
    return Page(client.post(path, body, content_type=kind, follow=True))  # type: ignore[arg-type]
