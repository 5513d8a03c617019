"""Each page of portal and sandbox explains itself in one sentence, on the first visit."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import resolve

from checks import trace_file
from extensions import actions
from portal import urls as portal_urls
from portal.introductions import SENTENCES
from requests_queue.catalog.models import Account, Product, User
from sandbox import urls as sandbox_urls
from sandbox.models import ApiCall, CheckRun
from sandbox.timeline import call_storage, trace_storage
from tests import html
from tests.api import VENDOR
from tests.portal.delivery_rows import attempt, delivery
from tests.portal.queues import PENDING, SUITE
from tests.sandbox import recorded
from tests.signed_in import signed_in
from tests.unit.checks import traces
from webhooks.models import Webhook

ORDER = f"/queues/fulfillment/{PENDING}/"
PAGES = {
    "home": "/",
    "webhooks": "/webhooks/",
    "webhook-new": "/webhooks/new/",
    "webhook-new-step": "{draft}",
    "webhook": "/webhooks/{hook}/",
    "webhook-deliveries": "/webhooks/{hook}/deliveries/",
    "webhook-statistics": "/webhooks/{hook}/statistics/",
    "webhook-http": "/webhooks/{hook}/http/",
    "webhook-data": "/webhooks/{hook}/data/",
    "webhook-edit": "/webhooks/{hook}/edit/",
    "deliveries": "/deliveries/",
    "delivery": "/deliveries/{delivery}/",
    "delivery-change": "/deliveries/{delivery}/change/",
    "queues": "/queues/",
    "queue": "/queues/fulfillment/",
    "queue-new": "/queues/fulfillment/new/",
    "queue-object": ORDER,
    "queue-source": f"{ORDER}json/",
    "queue-edit": f"{ORDER}edit/",
    "queue-action": f"{ORDER}actions/fail/",
    "products": "/products/",
    "product": f"/products/{SUITE}/",
    "product-items": f"/products/{SUITE}/items/",
    "product-parameters": f"/products/{SUITE}/parameters/",
    "product-templates": f"/products/{SUITE}/templates/",
    "product-capabilities": f"/products/{SUITE}/capabilities/",
    "search": "/search/",
    "password": "/password/",
    "api-keys": "/keys/",
    "extensions": "/extensions/",
    "extension": "/extensions/{environment}/",
    "timeline": "/timeline/",
    "trace": "/traces/{trace}/",
    "api-call": "/timeline/calls/{call}/",
    "checks": "/checks/",
    "checks-webhook": "/checks/{hook}/",
    "checks-run": "/checks/{hook}/{run}/",
    "faults": "/faults/",
    "fault-new": "/faults/new/api/abort/",
    "snapshots": "/snapshots/",
    "snapshot-import": "/snapshots/import/",
    "snapshot-diff": "/snapshots/seed/diff/",
}
# Pages that ask before an action, and always say what it does.
QUESTIONS = {
    "webhook-delete",
    "webhook-secret-new",
    "deliveries-again-job",
    "api-key-modules",
    "api-key-revoke",
    "snapshot-restore",
    "snapshot-delete",
    "snapshot-export",
    "time-reset",
}
# Pages for everybody, with a link or to sign in.
PUBLIC = {"product-action", "inquiry", "inquiry-check", "sign-in", "sign-in-by-link"}
# Parts of pages, files, redirects, and what only a form requests.
OTHERS = {
    "stylesheet", "script", "live", "home-live", "home-reveal", "home-webhook", "home-hide",
    "webhook-health", "webhook-response", "webhook-action", "webhook-secret",
    "deliveries-export", "deliveries-again", "deliveries-again-start", "deliveries-again-cancel",
    "delivery-resend", "delivery-headers", "delivery-curl", "delivery-advance", "queue-bulk",
    "queue-assign", "queue-attachment", "queue-message", "queue-validate", "product-delete",
    "sign-out", "alarms-dismiss", "act-as", "time", "time-move", "checks-cancel", "checks-report",
    "faults-clear", "fault-clear", "fault-release", "task-resubmit", None,
}  # fmt: skip


def test_each_page_has_a_sentence() -> None:
    """A new page needs one, in `portal.introductions` or `sandbox.pages.panels`."""
    patterns = [*portal_urls.urlpatterns, *sandbox_urls.page_urlpatterns]
    names = [pattern.name for pattern in patterns]
    assert set(names) - QUESTIONS - PUBLIC - OTHERS == SENTENCES.keys() == PAGES.keys()
    assert set(names) >= QUESTIONS | PUBLIC | OTHERS


@pytest.mark.parametrize("name", SENTENCES)
def test_sentence_is_one_sentence(name: str) -> None:
    text = SENTENCES[name]
    assert text[0].isupper() and text.endswith(".") and ". " not in text
    assert len(text) <= 160


@pytest.fixture
def root(saved: Any) -> Client:
    """The administrator of the demo data, who acts as its vendor."""
    return signed_in(User.objects.get(username="admin"))


@pytest.fixture
def paths(root: Client) -> dict[str, str]:
    """The pages by name, with a webhook, a delivery, an API call and a run of checks."""
    hook = Webhook.objects.create(
        id="WH-900-000-001",
        label="Orders",
        object_class="fulfillment_request",
        external_url="http://127.0.0.1:9/",
        jwt_secret="JWT-secret-of-thirty-two-bytes-or-more",
        product=Product.objects.get(pk=SUITE),
        account_id=VENDOR,
        created_at=datetime.now(UTC),
    )
    attempt(sent := delivery(hook))
    call_storage.store([recorded.call(account=VENDOR)])
    run = CheckRun.objects.create(
        name="run",
        account_id=VENDOR,
        webhook_id=hook.pk,
        webhook_label=hook.label,
        started_by="admin",
        started_at=datetime.now(UTC),
        state=CheckRun.CANCELLED,
        expires=0,
    )
    draft = root.post("/webhooks/new/", {"label": "Orders", "go": "next"})["Location"]
    ids = {"hook": hook.pk, "delivery": sent.pk, "run": run.pk, "draft": draft}
    ids["environment"] = actions.create(Account.objects.get(pk=VENDOR), "Approvals").pk
    ids["call"] = ApiCall.objects.latest("pk").pk
    ids["trace"] = trace_storage.save(trace_file.pack(traces.content()))
    return {name: path.format(**ids) for name, path in PAGES.items()}


@pytest.mark.django_db(transaction=True)
def test_first_visit_shows_the_sentence_below_the_title(
    root: Client, paths: dict[str, str]
) -> None:
    for name, path in paths.items():
        assert resolve(path).url_name == name
        page = html.get(root, path)
        shown = page.one("#introduction")
        assert shown.text.removesuffix(" ×") == SENTENCES[name], name
        elements = [each for each in page.descendants() if each.tag == "h1" or each is shown]
        assert elements[0].tag == "h1" and elements[1] is shown, name
        assert not html.get(root, path).all("#introduction"), name


@pytest.mark.django_db(transaction=True)
def test_visits_are_those_of_a_browser_and_of_a_kind_of_page(
    root: Client, paths: dict[str, str]
) -> None:
    html.get(root, "/queues/fulfillment/").one("#introduction")
    assert not html.get(root, "/queues/billing/").all("#introduction")
    html.get(root, "/queues/").one("#introduction")
    other = signed_in(User.objects.get(username="admin"))
    html.get(other, "/queues/fulfillment/").one("#introduction")


@pytest.mark.django_db(transaction=True)
def test_part_that_htmx_replaces_keeps_what_the_page_shows(
    root: Client, paths: dict[str, str]
) -> None:
    for name in ("delivery", "queue-object"):
        part = html.get(root, paths[name], **{"HX-Request": "true"}).one("#introduction")
        assert part.get("hx-preserve") and "hidden" in part.attributes
        # It is no visit.
        assert "hidden" not in html.get(root, paths[name]).one("#introduction").attributes


@pytest.mark.django_db(transaction=True)
def test_cookie_of_visits_may_have_any_content(root: Client, settings: Any) -> None:
    for value in ("", ".", "nonsense.faults", "faults." * 1000):
        root.cookies[settings.SIM_VISITED_COOKIE_NAME] = value
        page = root.get("/checks/")
        html.parse(page).one("#introduction")
        visited = page.cookies[settings.SIM_VISITED_COOKIE_NAME]
        assert set(visited.value.split(".")) <= {"checks", "faults"}
        assert visited["httponly"] and visited["samesite"] == "Lax"
