"""No operation shows, changes or reveals the objects of other accounts.

Operations come from the URL patterns. A write without a body in `tests.contract.calls` fails
here, and so does an empty list.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from requests_queue.queues import base
from requests_queue.queues.billing.models import BillingRequest
from sandbox.timeline import api_calls
from tests.api import PROVIDER, VENDOR, Caller, Response, refused
from tests.contract import calls, pages, routes
from tests.contract.accounts import Platform, platform, secret_paths  # noqa: F401  (fixture)
from tests.contract.writes import changes_rows
from tests.copies import ID, nowhere
from tests.marks import nightly
from tests.queue.platforms import undone
from webhooks.models import Event

pytestmark = pytest.mark.django_db

EVERYBODY = (
    "vendor",
    "distributor",
    "stranger vendor",
    nightly("stranger distributor", reason="as the stranger vendor"),
    nightly("new vendor", reason="as the new distributor"),
    "new distributor",
)


@contextmanager
def unchanged() -> Iterator[None]:
    """Fail if a statement in the block changes rows."""
    api_calls.flush()
    with undone(), CaptureQueriesContext(connection) as statements:
        yield
    assert [q["sql"] for q in statements if changes_rows(q["sql"])] == []


def body_of(method: str, path: str) -> calls.Call:
    """Return the call of the tables for an operation."""
    if method == "GET":
        return calls.Call(calls.VENDOR)
    assert (method, path) in calls.WRITES, f"{method} {path}: tests.contract.calls has no body"
    return calls.WRITES[method, path]


def refusal(response: Response) -> Any:
    """Return a refusal with all identifiers replaced by the same one."""
    return response.status, ID.sub("ID", repr(response.json))


# URL patterns other than operations, and why they show nothing of others.
ELSEWHERE = {
    "^public(/.*)?$": "404 for any other path",
    "^sandbox(/.*)?$": "404 for any other path",
    "connect-openapi30.yml": "the document",
    "portal.css": "the stylesheet",
    "portal.js": "the script",
    "search/": "tests/portal/test_palette.py",
    "live/": "tests/portal/test_live_pages.py",
    "public/v1/docs": "the document",
    "public/v1/schema": "the document",
    "public/v1": "addresses, the same for all",
    "public/v1/branding/brand": "tests/queue/catalog/test_reference_lists.py",
    "public/v1/pricing/versions": "empty for all",
    "public/v1/devops/event-definitions": "the same for all",
    "public/v1/categories": "tests/queue/catalog/test_reference_lists.py",
    "public/v1/categories/{}": "tests/queue/catalog/test_reference_lists.py",
    "public/v1/localization/locales": "the same for all",
    "public/v1/products/{}/messages": "tests/queue/catalog/test_reference_lists.py",
    "public/v1/settings/units": "tests/queue/catalog/test_reference_lists.py",
    "media/product_media/{}/{}/{}": "secret addresses: tests/queue/catalog/test_media.py",
    "actions/{}": "signed links: tests/portal/test_action_page.py",
    "public/v1/usage/download/{}": "signed links: tests/queue/queues/test_usage_file.py",
    "media/{}/{}/{}/icon.svg": "secret addresses: tests/queue/catalog/test_catalog_api.py",
    "forms/{}": "for everybody with the link: tests/portal/test_inquiry_page.py",
    "forms/{}/check": "for everybody with the link: tests/portal/test_inquiry_page.py",
    "sign-in/{}/{}": "signed links: tests/e2e/test_commands.py",
    "llms.txt": "for everybody: tests/sandbox/api/test_docs.py",
    "sign-in/": "for everybody: tests/portal/test_sign_in.py",
    "sign-out/": "for everybody: tests/portal/test_sign_in.py",
    "acting/": "for administrators: tests/portal/test_layout.py",
    "keys/": "tests/portal/test_api_keys.py",
    "keys/{}/modules/": "tests/portal/test_api_keys.py",
    "keys/{}/revoke/": "tests/portal/test_api_keys.py",
    "password/": "one's own: tests/portal/test_sign_in.py",
    "webhooks/new/": "begins a draft: tests/portal/test_webhooks_wizard.py",
    "webhooks/new/{}/{}/": "its beginner's: tests/portal/test_webhooks_wizard.py",
    "home/hide/": "one's own: tests/portal/test_first_steps.py",
    "home/reveal/": "one's own: tests/portal/test_first_steps.py",
    "home/webhook/": "one's own: tests/portal/test_first_steps.py",
    "alarms/dismiss/": "one's own session: tests/portal/test_alarms.py",
    "deliveries/again/": "tests/portal/test_deliveries_bulk.py",
    "deliveries/again/{}/": "tests/portal/test_deliveries_bulk.py",
    "deliveries/again/{}/start/": "tests/portal/test_deliveries_bulk.py",
    "deliveries/again/{}/cancel/": "tests/portal/test_deliveries_bulk.py",
    "deliveries/export/{}/": "tests/portal/test_deliveries_export.py",
    "queues/{}/bulk/": "tests/portal/test_queues_bulk.py",
    "checks/{}/": "tests/sandbox/pages/test_checks.py",
    "checks/{}/{}/": "tests/sandbox/pages/test_checks.py",
    "checks/{}/{}/cancel/": "tests/sandbox/pages/test_checks.py",
    "checks/{}/{}/report.{}": "tests/sandbox/pages/test_checks.py",
    "time/": "tests/sandbox/pages/test_clock_bar.py",
    "time/move/": "tests/sandbox/pages/test_clock_bar.py",
    "time/reset/": "tests/sandbox/pages/test_clock_bar.py",
    "timeline/": "tests/sandbox/pages/test_timeline_page.py",
    "timeline/calls/{}/": "tests/sandbox/pages/test_timeline_page.py",
    "traces/{}/": "for administrators: tests/sandbox/pages/test_traces_page.py",
    "snapshots/": "tests/sandbox/pages/test_snapshots_page.py",
    "snapshots/{}/restore/": "tests/sandbox/pages/test_snapshots_page.py",
    "snapshots/{}/delete/": "tests/sandbox/pages/test_snapshots_page.py",
    "snapshots/{}/export/": "for administrators: tests/sandbox/pages/test_snapshots_page.py",
    "snapshots/import/": "tests/sandbox/pages/test_snapshots_page.py",
    "snapshots/{}/diff/": "for administrators: tests/sandbox/pages/test_snapshots_page.py",
    "faults/new/{}/{}/": "tests/sandbox/pages/test_faults_page.py",
    "faults/clear/": "tests/sandbox/pages/test_faults_page.py",
    "faults/{}/clear/": "tests/sandbox/pages/test_faults_page.py",
    "faults/{}/release/": "tests/sandbox/pages/test_faults_page.py",
    "sandbox/queue/samples": "tests/sandbox/api/test_queues.py",
    "sandbox/queue/moves": "below",
    "sandbox/queue/validate": "tests/sandbox/api/test_validating.py",
}
# Observe and move the whole sandbox, by any API key: docs/observing.md.
WHOLE_SANDBOX = "sandbox/"
# Only some objects have these: the first file has no invalid rows, the first subscription no usage,
# and only programs have agreements.
EMPTY = {
    "/agreements/{}/agreements",
    "/assets/{}/usage/aggregates",
    "/usage/files/{}/errors",
}
# Objects that two accounts with a common partner both see.
SHARED = {
    "new vendor": ("/agreements/", "/hubs/", "/marketplaces/"),
    "new distributor": ("/localization/translations/", "/products/", "/usage/products/"),
}


# Pages of the portal that the tests below check.
PAGES = {
    "", "home/live/", "webhooks/", "deliveries/", "products/", "queues/", "queues/{}/",
    "queues/{}/new/", "checks/", "faults/", "extensions/",
}  # fmt: skip
THINGS = ("extensions/{}/", "webhooks/{}/", "deliveries/{}/", "products/{}/", "queues/{}/{}/")


def test_every_url_pattern_is_covered() -> None:
    covered = (*THINGS, WHOLE_SANDBOX)
    paths = {path for path in routes.elsewhere() if not path.startswith(covered)}
    acting = {path for path in routes.elsewhere() if path.startswith("sandbox/queue/")}
    assert paths | acting == ELSEWHERE.keys() | PAGES


def test_every_operation_requires_a_key(nobody: Caller) -> None:
    for method, path in sorted(routes.operations()):
        refused(nobody.call(method, path.replace("{}", "X")), 401)


@pytest.mark.parametrize("party", EVERYBODY)
def test_list_pages_show_no_objects_of_others(platform: Platform, party: str) -> None:
    hidden, client = platform.hidden_from(party), pages.browser(platform, party)
    for path in pages.lists():
        response = client.get(path, headers={"HX-Request": "true"} if "live" in path else {})
        assert response.status_code == 200, path
        assert hidden.isdisjoint(ID.findall(response.content.decode())), path


@pytest.mark.parametrize("party", EVERYBODY)
def test_detail_pages_of_others_are_not_found(platform: Platform, party: str) -> None:
    client = pages.browser(platform, party)
    for path, absent in pages.of_hidden(platform, party):
        for method in ("get", "post"):
            with unchanged():
                response = getattr(client, method)(path)
            same = getattr(client, method)(absent)
            assert response.status_code == same.status_code in (404, 405), (method, path)


@pytest.mark.parametrize("party", EVERYBODY)
def test_every_account_has_objects_of_every_kind_and_none_of_others(
    platform: Platform, party: str
) -> None:
    hidden, caller = platform.hidden_from(party), platform.callers[party]
    assert {path for _, path in routes.operations()} == platform.paths[party].keys()
    for path, view in routes.collections_by_path().items():
        if "get" in view.actions:
            response = caller.get(platform.paths[party][path])
            assert response.status == 200, (party, path, response)
            assert response.json != [] or path in EMPTY, f"{party} has nothing of {path}"
            assert hidden.isdisjoint(ID.findall(repr(response.json))), (party, path)


@pytest.mark.parametrize("party", EVERYBODY)
def test_lists_do_not_find_ids_of_others(platform: Platform, party: str) -> None:
    hidden, caller = platform.hidden_from(party), platform.callers[party]
    for path, view in routes.collections_by_path().items():
        if "{}" in path or "get" not in view.actions:
            continue
        row = caller.get(f"{path}?limit=1").json[0]
        # Sums have no identifier.
        name, pk = ("id", row["id"]) if "id" in row else ("asset.id", row["asset"]["id"])
        kind = pk.partition("-")[0]
        of_others = [pk for pk in sorted(hidden) if pk.startswith(f"{kind}-")]
        response = caller.get(f"{path}?in({name},({','.join(of_others[:300])}))")
        assert of_others and response.json == [], path
        assert response.headers["Content-Range"] == "items 0-0/0", path


@pytest.mark.parametrize("party", EVERYBODY)
def test_objects_of_others_are_not_found(platform: Platform, party: str) -> None:
    caller = platform.callers[party]
    role, wrong, tried = party.rpartition(" ")[2], [], set()
    for method, path, full in platform.of_others(party):
        call = body_of(method, path)
        with unchanged():
            response = caller.call(method, full, call.body, call.headers)
        key = role, method, path
        if key not in platform.absent:
            absent = caller.call(method, nowhere(full), call.body, call.headers)
            platform.absent[key] = refusal(absent)
        tried.add((method, path))
        if response.status != 404 or refusal(response) != platform.absent[key]:
            wrong.append((method, full, response[:2], platform.absent[key]))
    assert wrong == []
    untried = {op for op in routes.operations() - tried if "{}" in op[1]}
    assert {op for op in untried if not op[1].startswith(SHARED.get(party, "-"))} == set(), (
        "untried"
    )


@pytest.mark.parametrize("party", SHARED)
def test_partners_data_contains_nothing_of_the_other_account(
    platform: Platform, party: str
) -> None:
    hidden, caller = platform.hidden_from(party), platform.callers[party]
    count = 0
    for method, path in sorted(routes.operations()):
        full = platform.paths["vendor" if party == "new distributor" else "distributor"][path]
        if not full.startswith(SHARED[party]) or not hidden.isdisjoint(ID.findall(full)):
            continue
        call = body_of(method, path)
        with unchanged():
            response = caller.call(method, full, call.body, call.headers)
        assert response.status == (200 if method == "GET" else 403), (method, full, response)
        assert hidden.isdisjoint(ID.findall(repr(response.json))), (method, full)
        count += 1
    assert count > 3


@pytest.mark.parametrize("party", ["vendor", "distributor"])
def test_secrets_of_the_other_party_are_not_found(platform: Platform, party: str) -> None:
    tried = set()
    for method, path, full in secret_paths(party):
        call = body_of(method, path)
        with unchanged():
            response = platform.callers[party].call(method, full, call.body, call.headers)
        assert response.status == 404, (method, full, response)
        tried.add(path)
    assert len(tried) == (8 if party == "vendor" else 3)


def test_filters_use_visible_data_only(platform: Platform) -> None:
    wrong = set()
    for view in routes.collections_by_path().values():
        filters = getattr(view.cls, "rql_filter_class", None)
        for row in filters.FILTERS if filters else ():
            model = filters.MODEL
            for part in row.get("source", "").split("__"):
                column = next((f for f in model._meta.get_fields() if f.name == part), None)
                if column is None or not column.is_relation:
                    break
                if column.one_to_many or column.many_to_many:
                    wrong.add(f"{filters.__name__} {row['filter']}")
                model = column.related_model
    # A vendor sees the hubs of its marketplaces: `catalog.visibility`.
    assert wrong == {"MarketplaceFilters hubs.id", "MarketplaceFilters hubs.name"}


@pytest.mark.parametrize("party", EVERYBODY)
def test_actions_on_objects_of_others_are_not_found(platform: Platform, party: str) -> None:
    hidden = platform.hidden_from(party)
    if party == "vendor":
        hidden |= set(BillingRequest.objects.filter(type="provider").values_list("pk", flat=True))
    for queue in base.registered():
        for pk in queue.model._default_manager.filter(pk__in=hidden).values_list("pk", flat=True)[
            :2
        ]:
            for name in (*queue.by_name, "dance")[:4]:
                body = {"id": pk, "action": name, "data": {"reason": "No."}}
                with unchanged():
                    response = platform.callers[party].post("/sandbox/queue/moves", body)
                refused(response, 404, f"Object `{pk}` not found.")


def test_events_go_to_the_parties_only(platform: Platform) -> None:
    notified: dict[str, set[str]] = {VENDOR: set(), PROVIDER: set()}
    earlier = list(Event.objects.values_list("pk", flat=True))
    for (method, path), call in calls.WRITES.items():
        with calls.ready(path, call, platform.callers) as full:
            platform.callers[call.party].call(method, full, call.body, call.headers)
            events = Event.objects.exclude(pk__in=earlier).exclude(object_id="")
            for account, kind, pk in events.values_list(
                "webhook__account", "webhook__object_class", "object_id"
            ):
                assert account in notified, (method, path, account, pk)
                assert not (account == VENDOR and pk.startswith("BRP-"))
                notified[account].add(kind)
    kinds = {queue.object_class for queue in base.registered() if queue.has_webhooks}
    assert notified == {VENDOR: kinds, PROVIDER: kinds}
