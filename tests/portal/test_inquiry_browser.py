"""The inquiring form in a real browser, with a running sandbox and handler."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser import Tab, chromium, tab, window
from tests.handlers import Handler, ReceivedRequest, Response, handler
from tests.marks import nightly
from tests.portal import accessible, inquiry_form
from tests.portal.inquiry_form import SUITE
from tests.processes import Sandbox

pytestmark = pytest.mark.browser

__all__ = ["chromium", "tab", "window"]

INQUIRED = ("console_subdomain", "data_region", "edition", "options")
TAKEN, FREE = "This name is taken.", "harbour-2"
EDITIONS = [
    {"value": "standard", "label": "Standard"}, {"value": "advanced", "label": "Advanced"},
]  # fmt: skip
GOVERNMENT = {"value": "government", "label": "Government"}


@dataclass
class Vendor:
    """The vendor's validator, and the sandbox that calls it."""

    running: Sandbox
    served: Handler
    # If set, calls with this name wait for `go_on`.
    slow: str = ""
    go_on: threading.Event = field(default_factory=threading.Event)
    # Ids of the requests of a test: they hold their unique values until they fail.
    ordered: list[str] = field(default_factory=list)

    def respond(self, request: ReceivedRequest) -> Response:
        sent = request.json
        values = {p["id"]: p["value"] for p in sent["asset"]["params"]}
        if self.slow and values["console_subdomain"] == self.slow:
            assert self.go_on.wait(20)
        judged = {"id": sent["asset"]["id"], "params": self.judge(values)}
        return 200, json.dumps({"id": sent["id"], "asset": judged}).encode()

    @staticmethod
    def judge(values: dict[str, str]) -> list[dict[str, Any]]:
        """Return the results by name, region and edition."""
        is_taken = values["console_subdomain"] in ("harbour", "taken")
        extra = [GOVERNMENT] if values["data_region"] == "us" else []
        advanced = values["edition"] == "advanced"
        results: dict[str, dict[str, Any]] = {
            "console_subdomain": {"value_error": TAKEN if is_taken else ""},
            "edition": {"value_choices": [*EDITIONS, *extra]},
            "options": {"constraints": {"hidden": values["data_region"] == "uk"}},
            "siem_url": {"constraints": {"hidden": not advanced, "required": advanced}},
        }
        return [{"id": pk, "value_error": "", **results.get(pk, {})} for pk in values]

    def order(self, *names: str, **values: Any) -> str:
        """Have an order inquired; return its id."""
        errors = dict.fromkeys(names or INQUIRED, "Please look at this again.")
        as_vendor, as_distributor = self.running.as_vendor, self.running.as_distributor
        pk = inquiry_form.inquire(as_vendor, as_distributor, errors, **values)
        self.ordered.append(pk)
        return pk

    def close_orders(self) -> None:
        """Fail the open orders, so that the next test can use their unique values."""
        while self.ordered:
            pk = self.ordered.pop()
            if self.request(pk)["status"] in ("inquiring", "pending"):
                self.running.as_vendor(
                    "POST", f"/requests/{pk}/fail", {"reason": "The test is over."}
                )

    def link(self, pk: str) -> str:
        return self.running.url + inquiry_form.link(self.running.as_vendor, pk)

    def request(self, pk: str) -> dict[str, Any]:
        request: dict[str, Any] = self.running.as_vendor("GET", f"/requests/{pk}")
        return request

    def value(self, pk: str, name: str) -> Any:
        return next(p for p in self.request(pk)["asset"]["params"] if p["id"] == name)["value"]

    def next_value(self, name: str) -> str:
        """Return the value of a parameter in the next call."""
        params = self.served.next().json["asset"]["params"]
        return str(next(p for p in params if p["id"] == name)["value"])


@pytest.fixture(scope="module")
def served(running: Sandbox) -> Iterator[Vendor]:
    with handler() as served:
        vendor = Vendor(running, served)
        served.respond = vendor.respond
        body = {
            "label": "Inquiring",
            "type": "inquiring_validator",
            "object_class": "fulfillment_request",
            "active": True,
            "external_url": served.url,
            "http_method": "POST",
            "product_id": SUITE,
            "jwt_secret": "JWT-secret-of-thirty-two-bytes-or-more",
        }
        running.as_vendor("POST", "/notifications/webhooks", body)
        yield vendor


@pytest.fixture
def vendor(served: Vendor) -> Iterator[Vendor]:
    """The vendor with a responding handler."""
    served.served.calls.queue.clear()
    yield served
    served.slow = ""
    served.go_on.set()
    served.go_on = threading.Event()
    served.close_orders()


def status(page: Page) -> Any:
    return page.get_by_role("status")


def error(page: Page, name: str) -> Any:
    return page.locator(f"[data-field={name}] [data-part=error]")


def open_form(vendor: Vendor, tab: Tab, *names: str, **values: Any) -> tuple[str, Page]:
    """Open the form of a new order; return the order's id and the page."""
    pk = vendor.order(*names, **values)
    tab.page.goto(vendor.link(pk))
    return pk, tab.page


def enter_name(page: Page, name: str) -> None:
    page.get_by_label("Console name").fill(name)
    page.keyboard.press("Tab")


def start_slow_check(vendor: Vendor, tab: Tab, *names: str) -> tuple[str, Page]:
    """Open a form, and enter a name whose check waits for `go_on`."""
    vendor.slow = "slow"
    pk, page = open_form(vendor, tab, *names)
    enter_name(page, "slow")
    assert vendor.next_value("console_subdomain") == "slow"
    return pk, page


def send(page: Page) -> None:
    page.get_by_role("button", name="Send answers").click()
    expect(page.locator("[data-outcome=pending]")).to_be_visible()


def test_each_change_is_validated_and_updates_the_form(vendor: Vendor, tab: Tab) -> None:
    pk, page = open_form(vendor, tab, siem_url="")
    expect(page.locator("[data-field]")).to_have_count(len(INQUIRED))

    # The new value reaches the handler, and its error the field.
    enter_name(page, "taken")
    assert vendor.next_value("console_subdomain") == "taken"
    expect(error(page, "console_subdomain")).to_have_text(f"Error: {TAKEN}")
    expect(status(page)).to_have_text("Checked. Correct 1 answer.")

    # A field that it unhides appears, and is required.
    page.get_by_label("Advanced").check()
    expect(page.get_by_label("SIEM collector")).to_be_visible()
    expect(page.locator("[data-field=siem_url] .optional")).to_have_count(0)

    # New choices appear.
    expect(page.get_by_label("Government")).to_have_count(0)
    region = page.get_by_label("Data region")
    region.focus()
    region.select_option("us")
    expect(page.get_by_label("Government")).to_be_visible()
    expect(page.get_by_label("Advanced")).to_be_checked()

    # One that it hides goes.
    region.select_option("uk")
    expect(page.locator("[data-field=options]")).to_have_count(0)
    expect(page.get_by_label("Government")).to_have_count(0)
    assert vendor.request(pk)["status"] == "inquiring"

    # Remaining errors prevent submitting.
    page.get_by_role("button", name="Send answers").click()
    summary = page.get_by_role("alert")
    expect(summary).to_be_focused()
    expect(summary).to_contain_text("SIEM collector: This field is required.")
    summary.get_by_role("link", name="SIEM collector").click()
    expect(page.get_by_label("SIEM collector")).to_be_focused()
    page.keyboard.type("https://siem.harbour.example.com/in")
    enter_name(page, FREE)
    expect(page.get_by_role("alert")).to_have_count(0)

    send(page)
    request = vendor.request(pk)
    values = {p["id"]: p["value"] for p in request["asset"]["params"]}
    expected = {
        "console_subdomain": FREE,
        "siem_url": "https://siem.harbour.example.com/in",
        "edition": "advanced",
        "data_region": "uk",
    }
    assert (request["status"], {**values, **expected}) == ("pending", values)
    assert tab.hosts() == {urlsplit(vendor.running.url).netloc}
    assert tab.console_errors == []


def test_form_works_by_keyboard(vendor: Vendor, tab: Tab) -> None:
    pk, page = open_form(vendor, tab, "company_alias", "edition", "options")
    keys = page.keyboard

    def tab_to(label: str) -> None:
        keys.press("Tab")
        expect(page.get_by_label(label)).to_be_focused()

    # Skip the link in the vendor's message.
    keys.press("Tab")
    tab_to("Short name")
    keys.press("Control+a")
    keys.type("H")
    keys.press("Enter")
    expect(page.get_by_role("alert")).to_be_focused()
    keys.press("Tab")
    keys.press("Enter")
    expect(page.get_by_label("Short name")).to_be_focused()
    keys.press("Control+a")
    keys.type("Harbour Ltd")
    tab_to("Standard")
    keys.press("ArrowDown")
    expect(page.get_by_label("SIEM collector")).to_be_visible()
    # A field that appears meanwhile does not move the focus.
    expect(page.get_by_label("Advanced")).to_be_focused()
    tab_to("SIEM collector")
    keys.type("https://siem.harbour.example.com/in")
    for box in ("Weekly report", "Awareness training"):
        tab_to(box)
        keys.press("Space")
    # The ordered name is taken, so the form requests another one.
    expect(error(page, "console_subdomain")).to_have_text(f"Error: {TAKEN}")
    page.get_by_label("Console name").focus()
    keys.press("Control+a")
    keys.type(FREE)
    keys.press("Enter")
    expect(page.locator("[data-outcome=pending]")).to_be_visible()
    params = {p["id"]: p for p in vendor.request(pk)["asset"]["params"]}
    assert params["company_alias"]["value"] == "Harbour Ltd"
    assert params["options"]["structured_value"] == {"weekly_report": False, "training": True}


def test_typed_text_is_kept_during_a_slow_check(vendor: Vendor, tab: Tab) -> None:
    _, page = start_slow_check(vendor, tab, "company_alias", "console_subdomain", "edition")
    expect(status(page)).to_have_text("Checking…")
    short_name = page.get_by_label("Short name")
    short_name.focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("Half of a na")
    # Like the autofill of a browser.
    page.get_by_label("Advanced").evaluate("box => { box.checked = true }")
    vendor.go_on.set()
    expect(status(page)).not_to_have_text("Checking…")
    expect(error(page, "console_subdomain")).to_have_text("")
    expect(short_name).to_be_focused()
    expect(page.get_by_label("Advanced")).to_be_checked()
    page.keyboard.type("me")
    expect(short_name).to_have_value("Half of a name")
    assert tab.console_errors == []


def test_response_keeps_fields_that_were_changed_and_changed_back(vendor: Vendor, tab: Tab) -> None:
    _, page = start_slow_check(vendor, tab, "console_subdomain", "options")
    # Two events of a field whose value has not changed.
    page.locator("[data-field=options]").evaluate(
        """field => {
            field.dataset.kept = "yes";
            for (const value of [true, false]) {
                field.querySelector("input[type=checkbox]").dispatchEvent(
                    new Event("input", { bubbles: true }));
            }
        }"""
    )
    vendor.go_on.set()
    expect(status(page)).not_to_have_text("Checking…")
    expect(page.locator("[data-field=options]")).to_have_attribute("data-kept", "yes")
    expect(page.locator("[data-field=options]")).to_contain_text("Please look at this again.")


def test_response_to_an_older_value_is_dropped(vendor: Vendor, tab: Tab) -> None:
    pk, page = start_slow_check(vendor, tab)
    enter_name(page, "taken")
    expect(error(page, "console_subdomain")).to_have_text(f"Error: {TAKEN}")
    vendor.go_on.set()
    expect(page.get_by_label("Console name")).to_have_value("taken")
    expect(error(page, "console_subdomain")).to_have_text(f"Error: {TAKEN}")
    page.get_by_label("Console name").fill(FREE)
    page.keyboard.press("Enter")
    expect(page.locator("[data-outcome=pending]")).to_be_visible()
    assert vendor.value(pk, "console_subdomain") == FREE


def test_request_closed_meanwhile_says_so(vendor: Vendor, tab: Tab) -> None:
    pk, page = open_form(vendor, tab)
    vendor.running.as_vendor("POST", f"/requests/{pk}/fail", {"reason": "Ordered by mistake."})
    enter_name(page, FREE)
    expect(page.locator("[data-outcome=failed]")).to_be_visible()
    expect(page.get_by_text("Ordered by mistake.")).to_be_visible()


def select_region(vendor: Vendor, tab: Tab, region: str, *names: str) -> Page:
    """Open a form, and select a region whose check waits for `go_on`."""
    vendor.slow = "slow"
    _, page = open_form(vendor, tab, *names, console_subdomain="slow", data_region="eu")
    page.get_by_label("Data region").focus()
    page.get_by_label("Data region").select_option(region)
    assert vendor.next_value("data_region") == region
    return page


def test_update_of_a_focused_field_waits_until_it_loses_the_focus(vendor: Vendor, tab: Tab) -> None:
    page = select_region(vendor, tab, "us")
    # The focus is on a field whose choices are about to change.
    page.get_by_label("Standard").focus()
    vendor.go_on.set()
    expect(status(page)).to_have_text("Checked. All answers are valid.")
    expect(page.get_by_label("Standard")).to_be_focused()
    expect(page.get_by_label("Government")).to_have_count(0)
    page.keyboard.press("Tab")
    expect(page.get_by_label("Government")).to_be_visible()
    expect(page.get_by_label("Weekly report")).to_be_focused()


def test_focus_moves_to_the_next_field_if_a_field_is_removed(vendor: Vendor, tab: Tab) -> None:
    page = select_region(vendor, tab, "uk", "data_region", "options")
    page.get_by_label("Weekly report").focus()
    vendor.go_on.set()
    expect(page.locator("[data-field=options]")).to_have_count(0)
    expect(page.get_by_label("Data region")).to_be_focused()


def test_address_is_checked_when_it_loses_the_focus(vendor: Vendor, tab: Tab) -> None:
    _, page = open_form(vendor, tab, "site_address", "company_alias", console_subdomain=FREE)
    page.get_by_label("City").fill("")
    page.get_by_label("Postal code").fill("97301")
    page.get_by_label("State or province").fill("OR")
    expect(status(page)).to_have_text("")
    page.get_by_label("Short name").focus()
    expect(error(page, "site_address")).to_have_text("Error: City: this field is required.")
    expect(page.get_by_label("City")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Postal code")).to_have_value("97301")
    page.get_by_label("City").fill("Salem")
    page.get_by_label("Short name").focus()
    expect(error(page, "site_address")).to_have_text("")
    values = [vendor.served.next().json for _ in range(2)]
    address = next(p for p in values[1]["asset"]["params"] if p["id"] == "site_address")
    sent = address["structured_value"]
    assert (sent["city"], sent["postal_code"]) == ("Salem", "97301")


def test_typed_password_is_kept_during_checks(vendor: Vendor, tab: Tab) -> None:
    body = {
        "name": "console_password",
        "title": "Console password",
        "type": "password",
        "constraints": {"min_length": 8},
    }
    parameter = vendor.running.as_vendor("POST", f"/products/{SUITE}/parameters", body)
    pk, page = open_form(vendor, tab, "console_password", "company_alias")
    password = page.get_by_label("Console password")
    password.fill("S3cret-of-the-customer")
    page.get_by_label("Short name").fill("Harbour Ltd")
    page.get_by_role("button", name="Send answers").focus()
    expect(page.locator("[data-field=console_password] .help")).to_contain_text(
        "A password is set."
    )
    expect(password).to_have_value("S3cret-of-the-customer")
    page.get_by_label("Console name").fill(FREE)
    send(page)
    assert vendor.value(pk, "console_password") == "S3cret-of-the-customer"
    vendor.running.as_vendor("DELETE", f"/products/{SUITE}/parameters/{parameter['id']}")


LIGHT, DARK = (1600, "light"), (380, "dark")


@pytest.mark.parametrize(
    "looks",
    [
        [(*LIGHT, ()), (*DARK, accessible.LOOK_RULES)],
        nightly(
            [(*DARK, ()), (380, "light", ()), (1600, "dark", ())],
            reason="all rules at each width and in each scheme",
        ),
    ],
)
@pytest.mark.node
def test_pages_are_accessible_and_fit(vendor: Vendor, tab: Tab, looks: Any) -> None:
    pk = vendor.order(*inquiry_form.VALUES, console_subdomain="taken")
    page, link = tab.page, vendor.link(pk)

    def look(words: str) -> None:
        expect(page.get_by_role("heading", level=1)).to_contain_text(words)
        for width, scheme, rules in looks:
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            assert accessible.overflow(page) <= 0
            assert accessible.violations(page, rules) == []

    page.goto(link)
    look("needs your answers")
    page.get_by_label("Administrator").fill("nobody")
    page.get_by_label("City").fill("")
    page.get_by_label("Scan policy").fill("{" + "x" * 200)
    page.get_by_role("button", name="Send answers").click()
    expect(page.get_by_role("alert")).to_be_visible()
    look("needs your answers")
    page.goto(link)
    page.get_by_label("Console name").fill(FREE)
    page.get_by_role("button", name="Send answers").click()
    look("Your answers have been sent")
    page.goto(link[:-1])
    look("Page not found")
