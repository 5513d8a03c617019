"""Every page of the portal and its user, for screenshots and for tests of all pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page

from tests.portal.scenario import METER, PLAIN, SUITE, Scenario

VENDOR, DISTRIBUTOR, NOBODY = "VA-610-138", "PA-318-442", ""


@dataclass(frozen=True)
class Shot:
    """A screenshot: name, page (or a function that returns it), viewer, and steps before it."""

    name: str
    page: str | Callable[[Scenario], str]
    viewer: str = VENDOR
    width: int = 1440
    act: Callable[[Page], Any] = lambda page: None
    # Taken in a fresh sandbox.
    fresh: bool = False
    status: int = 200

    def address(self, scenario: Scenario) -> str:
        """Return the page's URL."""
        return self.page if isinstance(self.page, str) else self.page(scenario)


def _of(name: str, path: str) -> Callable[[Scenario], str]:
    return lambda scenario: path.replace("*", scenario.ids[name])


def _click(selector: str, number: int = 0) -> Callable[[Page], None]:
    """Return what clicks an element, and waits for the page that may follow."""

    def act(page: Page) -> None:
        page.locator(selector).nth(number).click()
        page.wait_for_load_state()

    return act


def _object_of(queue: str) -> Callable[[Page], None]:
    return _click(f'main a[href^="/queues/{queue}/"]', -1)


_first, _oldest = _click("[data-step]"), _click("[data-step]", -1)
# The API call that was rejected.
_rejected = _click("details.api-call[data-status='400'] summary")


def _activity(page: Page) -> None:
    _oldest(page)
    _rejected(page)


def _changes(page: Page) -> None:
    _first(page)
    _click("#change-button")(page)


def _wizard(steps: int) -> Callable[[Page], None]:
    """Fill in the first steps of the wizard."""

    def act(page: Page) -> None:
        page.get_by_label("Name", exact=True).fill("Orders")
        for step in range(steps):
            if step == 1:
                page.locator(f'input[value="{PLAIN}"]').check()
            if step == 2:
                page.locator('main input[type="radio"]').first.check()
            if step == 3:
                page.get_by_label("Endpoint URL").fill("http://127.0.0.1:9000/")
            page.locator('button[value="next"]').last.click()
            page.wait_for_load_state()

    return act


def _again(page: Page) -> None:
    _first(page)
    page.locator("#resend-button").click()
    page.get_by_text("Resend of").wait_for()


def _picked(page: Page) -> None:
    page.locator("#pick-all").check()


def _palette(page: Page) -> None:
    page.keyboard.press("Control+k")
    page.locator("#palette-option-0").wait_for()


def _created_key(page: Page) -> None:
    page.get_by_label("Name").fill("Deployment")
    page.get_by_role("button", name="Create key").click()
    page.locator("#new-key").wait_for()


_OBJECT = "/queues/fulfillment/*/"
SHOTS = [
    Shot("first-steps", "/", fresh=True),
    Shot("first-steps-language", "/?start=python", fresh=True),
    Shot("webhooks-none", "/webhooks/", fresh=True),
    Shot("deliveries-none", "/deliveries/", fresh=True),
    Shot("timeline-none", "/timeline/", fresh=True),
    Shot("home", "/"),
    Shot("home-narrow", "/", width=380),
    Shot("webhooks", "/webhooks/"),
    Shot("webhooks-narrow", "/webhooks/", width=380),
    Shot("webhooks-menu", "/webhooks/", act=_click(".table summary")),
    Shot("wizard-general", "/webhooks/new/"),
    Shot("wizard-product", "/webhooks/new/", act=_wizard(1)),
    Shot("wizard-type", "/webhooks/new/", act=_wizard(2)),
    Shot("wizard-http", "/webhooks/new/", act=_wizard(3)),
    Shot("wizard-data", "/webhooks/new/", act=_wizard(4)),
    Shot("webhook-general", _of("failing", "/webhooks/*/")),
    Shot("webhook-out-of-order", _of("lost", "/webhooks/*/")),
    Shot("webhook-statistics", _of("failing", "/webhooks/*/statistics/")),
    Shot("webhook-statistics-narrow", _of("lost", "/webhooks/*/statistics/"), width=380),
    Shot(
        "webhook-response",
        _of("lost", "/webhooks/*/statistics/"),
        act=_click("text=View response", -1),
    ),
    Shot("webhook-deliveries", _of("failing", "/webhooks/*/deliveries/")),
    Shot("webhook-http", _of("well", "/webhooks/*/http/")),
    Shot("webhook-data", _of("well", "/webhooks/*/data/")),
    Shot("webhook-disabled", _of("off", "/webhooks/*/")),
    Shot("webhook-new-secret", _of("well", "/webhooks/*/secret/new/")),
    Shot("webhook-edit", _of("well", "/webhooks/*/edit/")),
    Shot("webhook-delete", _of("well", "/webhooks/*/delete/")),
    Shot("deliveries", "/deliveries/"),
    Shot("deliveries-narrow", "/deliveries/", width=380),
    Shot("deliveries-keys", "/deliveries/", act=lambda page: page.keyboard.press("?")),
    Shot("deliveries-wrong-search", "/deliveries/?q=foo:bar"),
    Shot("deliveries-nothing-found", "/deliveries/?q=status:418"),
    Shot("delivery", _of("lost", "/deliveries/?q=webhook:*"), act=_oldest),
    Shot("delivery-narrow", _of("failing", "/deliveries/?q=webhook:*"), width=380, act=_first),
    Shot("delivery-activity", _of("acted", "/deliveries/?q=object:*"), act=_activity),
    Shot(
        "delivery-activity-narrow",
        _of("acted", "/deliveries/?q=object:*"),
        width=380,
        act=_activity,
    ),
    Shot("delivery-sent-again", _of("well", "/deliveries/?q=webhook:*"), act=_again),
    Shot("delivery-of-validator", _of("judge", "/deliveries/?q=webhook:*"), act=_first),
    Shot("delivery-change", _of("well", "/deliveries/?q=webhook:*"), act=_changes),
    Shot("timeline", "/timeline/"),
    Shot("timeline-narrow", "/timeline/", width=380),
    Shot("timeline-of-api-calls", "/timeline/?kind=api"),
    Shot("timeline-wrong-object", "/timeline/?object=%20%25"),
    Shot("trace", _of("trace", "/traces/*/")),
    Shot("trace-narrow", _of("trace", "/traces/*/"), width=380),
    Shot("extensions", "/extensions/"),
    Shot("extension", _of("extension", "/extensions/*/")),
    Shot("extension-narrow", _of("extension", "/extensions/*/"), width=380),
    Shot("reset", "/time/reset/"),
    Shot("snapshots", "/snapshots/"),
    Shot("snapshot-restore", "/snapshots/seed/restore/"),
    Shot("snapshot-export", "/snapshots/seed/export/"),
    Shot("snapshot-import", "/snapshots/import/"),
    Shot("palette", _of("request", "/queues/fulfillment/*/"), act=_palette),
    Shot("palette-narrow", "/webhooks/", width=380, act=_palette),
    Shot("search", "/search/?q=2934"),
    # Where the open menu covers no links: axe measures what is left of them.
    Shot("acting-as", "/snapshots/", act=_click(".account-menu summary")),
    Shot("queues", "/queues/"),
    Shot("queue-board", "/queues/fulfillment/"),
    Shot("queue-board-narrow", "/queues/fulfillment/", width=380),
    Shot("queue-board-picked", "/queues/fulfillment/", act=_picked),
    Shot("queue-list", "/queues/fulfillment/?status=pending"),
    Shot("queue-without-status", "/queues/billing/", DISTRIBUTOR),
    Shot("queue-object", _of("request", _OBJECT)),
    Shot("queue-object-narrow", _of("request", _OBJECT), width=380),
    Shot("queue-object-activity", _of("acted", _OBJECT), act=_rejected),
    Shot("queue-object-inquired", _of("inquired", _OBJECT), DISTRIBUTOR),
    Shot("queue-object-judged", _of("judged", _OBJECT)),
    Shot("queue-tier-config", "/queues/tier_config/?status=", act=_object_of("tier_config")),
    Shot("queue-usage-file", "/queues/usage_file/?status=", act=_object_of("usage_file")),
    Shot("queue-listing", "/queues/listing/?status=", act=_object_of("listing")),
    Shot("queue-billing", "/queues/billing/", act=_object_of("billing")),
    Shot("queue-tier-account", "/queues/tier_account/?status=", act=_object_of("tier_account")),
    Shot("queue-helpdesk", "/queues/helpdesk/?status=", act=_object_of("helpdesk")),
    Shot("queue-json", _of("request", f"{_OBJECT}json/")),
    Shot("queue-edit", _of("request", f"{_OBJECT}edit/")),
    Shot("queue-move", _of("request", f"{_OBJECT}actions/approve/")),
    Shot("queue-move-wrong", _of("request", f"{_OBJECT}actions/fail/")),
    Shot("sample", f"/queues/fulfillment/new/?product={SUITE}"),
    Shot("sample-tier-config", "/queues/tier_config/new/", DISTRIBUTOR),
    Shot("sample-usage-file", f"/queues/usage_file/new/?product={METER}"),
    Shot("products", "/products/"),
    Shot("products-narrow", "/products/", width=380),
    Shot("product", f"/products/{PLAIN}/"),
    Shot("product-items", f"/products/{SUITE}/items/"),
    Shot("product-parameters", f"/products/{SUITE}/parameters/"),
    Shot("product-templates", f"/products/{PLAIN}/templates/"),
    Shot("product-capabilities", f"/products/{SUITE}/capabilities/"),
    Shot("product-capabilities-distributor", f"/products/{SUITE}/capabilities/", DISTRIBUTOR),
    Shot("checks", "/checks/"),
    Shot("checks-webhook", _of("judge", "/checks/*/")),
    Shot("faults", "/faults/"),
    Shot("faults-narrow", "/faults/", width=380),
    Shot("faults-none", "/faults/", fresh=True),
    Shot("fault-new", "/faults/new/api/abort/"),
    Shot("inquiring-form", lambda scenario: scenario.ids["form"], NOBODY),
    Shot("action-link", lambda scenario: scenario.ids["action"], NOBODY),
    Shot("action-link-refused", "/actions/ACT-362-917-440-001?jwt=x", NOBODY, status=403),
    Shot("sign-in", "/sign-in/", NOBODY),
    Shot("sign-in-used-link", "/sign-in/UR-000-100-001/used-0", NOBODY, status=403),
    Shot("password", "/password/"),
    Shot("api-keys", "/keys/"),
    Shot("api-keys-narrow", "/keys/", width=380),
    Shot("api-key-created", "/keys/", act=_created_key),
    Shot("api-key-modules", "/keys/", act=_click('a[href$="/modules/"]')),
    Shot("not-understood", "/queues/?q=%00", status=400),
    Shot("not-found", "/nowhere/", status=404),
]
