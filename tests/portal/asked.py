"""Requests that a vendor has inquired, and the page of one as a browser without script has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.http import HttpResponse
from django.test import Client

from tests.api import Caller

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
        answer = who.call(method, path, body)
        assert answer.status < 300, answer
        return answer.json

    return call


def entries(values: Mapping[str, Any], errors: Mapping[str, str] | None = None) -> list[Any]:
    """Return `params` of the API with these values and errors."""
    found: dict[str, dict[str, Any]] = {}
    for pk, value in values.items():
        key = "structured_value" if isinstance(value, dict) else "value"
        found[pk] = {"id": pk, key: value}
    for pk, text in (errors or {}).items():
        found.setdefault(pk, {"id": pk})["value_error"] = text
    return list(found.values())


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


@dataclass
class Shown:
    """A field of the page."""

    words: str = ""
    controls: list[dict[str, Any]] = field(default_factory=list)
    parts: dict[str, str] = field(default_factory=dict)

    @property
    def error(self) -> str:
        return self.parts.get("error", "").removeprefix("Error: ")

    @property
    def help(self) -> str:
        return self.parts.get("help", "")

    @property
    def control(self) -> dict[str, Any]:
        (found,) = self.controls
        return found


class Page(HTMLParser):
    """The form of a page: its fields by parameter, and what a browser would send of it."""

    def __init__(self, answer: HttpResponse) -> None:
        super().__init__()
        self.answer = answer
        self.status = answer.status_code
        self.html = answer.content.decode()
        self.text = ""
        self.fields: dict[str, Shown] = {}
        self.sent: list[tuple[str, str]] = []
        self.action = ""
        # The status that the page of a request that can't be answered is about.
        self.outcome = ""
        self._field: Shown | None = None
        self._part = ""
        self._depth = 0
        self._control: dict[str, Any] | None = None
        self.feed(self.html)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found: dict[str, Any] = {k: True if v is None else v for k, v in attributes}
        if tag == "form":
            self.action = found["action"]
        self.outcome = found.get("data-outcome", self.outcome)
        if tag == "div":
            self._depth += self._field is not None
            if "data-field" in found:
                self._field = self.fields[found["data-field"]] = Shown()
                self._depth = 0
        if self._field is not None and "data-part" in found:
            self._part = found["data-part"]
        if tag in ("input", "select", "textarea"):
            self._control = {"tag": tag, "value": "", "options": [], **found}
            if self._field is not None and found.get("type") != "hidden":
                self._field.controls.append(self._control)
            if tag == "input":
                self._send()
        if tag == "option" and self._control is not None:
            self._control["options"].append(found["value"])
            if "selected" in found:
                self._control["value"] = found["value"]

    def handle_endtag(self, tag: str) -> None:
        if tag == "div" and self._field is not None:
            if self._depth == 0:
                self._field = None
            self._depth -= 1
        if tag in ("p", "label", "legend"):
            self._part = ""
        if tag == "textarea" and self._control is not None:
            # A browser drops the first end of line.
            self._control["value"] = self._control["value"].removeprefix("\n")
        if tag in ("select", "textarea"):
            self._send()
            self._control = None

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._control is not None and self._control["tag"] == "textarea":
            self._control["value"] += data
        if self._field is not None:
            self._field.words += data
            if self._part:
                self._field.parts[self._part] = self._field.parts.get(self._part, "") + data

    def _send(self) -> None:
        control = self._control or {}
        off = control.get("type") in ("radio", "checkbox") and "checked" not in control
        if "name" in control and "disabled" not in control and not off:
            self.sent.append((control["name"], control["value"]))

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
