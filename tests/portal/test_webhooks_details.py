"""Pages of a webhook: its four tabs, its secret, its edit, and its actions."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from portal.deliveries import bodies
from portal.webhooks import webhook_statistics
from requests_queue import clock
from tests import html
from tests.html import Element
from tests.make import AT, Catalog
from tests.portal.statements import counts, statements
from tests.portal.webhooks import CANARY, attempt, hook, messages
from tests.signed_in import distributor, stranger, vendor  # noqa: F401  (fixtures)
from webhooks import actions
from webhooks.delivery import fan_out
from webhooks.models import Attempt, Delivery, Event, Webhook

pytestmark = pytest.mark.django_db

GETS = ("", "statistics/", "http/", "data/", "edit/", "delete/", "deliveries/", "secret/new/",
        "last/failure/")  # fmt: skip
POSTS = ("edit/", "delete/", "secret/", "secret/new/", "do/trigger/", "do/enable/", "do/disable/",
         "do/recover/")  # fmt: skip
HTMX = {"HX-Request": "true"}


@pytest.fixture
def row(catalog: Catalog) -> Webhook:
    """A webhook of the vendor."""
    return hook(catalog)


def path(row: Webhook, rest: str = "") -> str:
    return f"/webhooks/{row.pk}/{rest}"


def page(client: Client, row: Webhook, rest: str = "", **headers: str) -> Element:
    return html.get(client, path(row, rest), **headers)


def history() -> list[str]:
    return [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")]


def form(**more: Any) -> dict[str, Any]:
    return {
        "label": "Renamed",
        "description": "",
        "active": "on",
        "jwt_secret": "",
        "external_url": "http://127.0.0.1:9/",
        "http_method": "POST",
        "data": '{"a": 1}',
        "header_name": ["X-Env", ""],
        "header_value": ["lab", ""],
        **more,
    }


# -- access


def test_unknown_webhook_looks_like_another_accounts(stranger: Client, row: Webhook) -> None:
    responses = [stranger.post(path(one, "do/trigger/")) for one in (row, Webhook(pk="WH-9-9-9"))]
    contents = [
        re.sub(r'value="\w{64}"|content="\d[^"]*"|WH-[\d-]+|<time.*?</time>', "", text)
        for text in (response.content.decode() for response in responses)
    ]
    assert contents[0] == contents[1] and "may have been deleted" in contents[0]


def test_pages_require_sign_in(row: Webhook) -> None:
    for rest in GETS:
        assert Client().get(path(row, rest)).status_code == 303
    for rest in POSTS:
        assert Client().post(path(row, rest), form())["Location"] == "/sign-in/"
    assert Webhook.objects.get().label == row.label


# -- tabs


def test_general_shows_who_created_and_modified_it(
    vendor: Client, row: Webhook, catalog: Catalog
) -> None:
    actions.edit(row.pk, catalog.provider_user, {"description": "For orders.\nAll of them."})
    shown = page(vendor, row)
    terms = shown.terms()
    assert terms["Created"].startswith("2026-11-01 09:00:00 UTC by " + catalog.vendor_user.name)
    assert f"by {catalog.provider_user.name}" in terms["Modified"]
    assert "For orders. All of them." in shown


def test_statistics_show_counters_and_links(vendor: Client, row: Webhook) -> None:
    row.last_failure = attempt(row, duration=45)
    row.events, row.triggers, row.failure_triggers, row.failure_since_last_success = 7, 6, 5, 4
    row.earliest_possible_trigger = clock.shown(clock.now()) + timedelta(minutes=5)
    row.round, row.last_event = 1, AT
    row.save()
    shown = page(vendor, row, "statistics/")
    assert (
        shown.terms().items()
        >= {
            "Events": "7",
            "Triggers": "6",
            "Success responses": "–",
            "Failure responses": "5",
            "Failures since last success": "4",
        }.items()
    )
    assert shown.one("#next-trigger time")["data-time"] == "countdown"
    assert "1 pending." in shown and "1 failure" in shown
    assert shown.one("#last-failure")["href"] == f"/deliveries/{row.last_failure.delivery_id}/"
    assert [cells[2:] for cells in shown.one("#attempts").rows()] == [["failure", "500", "45 ms"]]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "No worker is running. New events stay pending until one starts."),
        ({"active": False}, "No requests are sent until it is enabled."),
        ({"type": "validator"}, "when a request is to be validated"),
        ({"out_of_order": True}, "Recover it, or let a Trigger now succeed."),
        ({"earliest_possible_trigger": AT}, "No worker is running"),
    ],
)
def test_reason_is_shown_without_a_next_trigger(
    vendor: Client, catalog: Catalog, fields: dict[str, Any], words: str
) -> None:
    shown = page(vendor, hook(catalog, **fields), "statistics/").one("main")
    assert words in shown
    assert not shown.all("#next-trigger") and "Next attempt" not in shown


def test_cleared_backoffs_are_listed(vendor: Client, catalog: Catalog, row: Webhook) -> None:
    recovered = {"user": catalog.vendor_user, "failures": 10, "was_out_of_order": True}
    for n in range(7):
        at = AT + timedelta(minutes=n)
        row.cleared_backoffs.create(at=at, cause="recovered", **recovered)
    triggered = {"attempt": attempt(row), "failures": 1, "was_out_of_order": False}
    row.cleared_backoffs.create(at=AT + timedelta(minutes=9), cause="triggered", **triggered)
    first, *others = page(vendor, row, "statistics/").all("[data-cleared] li")
    assert "Backoff cleared: Trigger now succeeded (attempt 1 of delivery" in first
    assert [f"Recovered by {catalog.vendor_user.name}." in each for each in others] == [True] * 4


def test_deliveries_are_those_of_the_webhook(
    vendor: Client, catalog: Catalog, row: Webhook
) -> None:
    own, other = attempt(row).delivery_id, attempt(hook(catalog, 2)).delivery_id
    shown = page(vendor, row, "deliveries/")
    assert shown.all(f"#d{own}") and not shown.all(f"#d{other}")
    headers = [cell.text for cell in shown.all(".log thead th")]
    assert "Event" in headers and "Webhook" not in headers
    assert shown.one("#log")["hx-get"].startswith("?")
    actions.delete(row.pk)
    assert vendor.get(path(row, "deliveries/")).status_code == 404
    assert vendor.get(path(row, "deliveries/"), headers=HTMX).status_code == 204


def test_chart_has_the_latest_fifty_attempts(vendor: Client, row: Webhook) -> None:
    outcomes = {0: ("success", 200), 1: ("failure", 200), 2: ("unknown", None)}
    for n in range(1, 61):
        outcome, code = outcomes[n % 3]
        attempt(row, n, outcome=outcome, status_code=code, duration=n * 1000)
    chart = webhook_statistics.chart(row)
    ticks, bars = chart["ticks"], chart["bars"]
    assert [row["number"] for row in chart["rows"]] == list(range(60, 10, -1))
    labels = ["1 ms", "10 ms", "100 ms", "1 s", "10 s", "1 min"]
    assert [tick["label"] for tick in ticks] == labels
    assert ticks[-1]["y"] == min(bar["y"] for bar in bars) == 0
    assert [bar["x"] for bar in bars] == [n * 12 for n in range(50)]
    assert {bar["y"] + bar["height"] for bar in bars} == {100}
    heights = [bar["height"] for bar in bars]
    assert heights == sorted(heights) and heights[-1] == 100
    assert chart["text"] == "17 successes, 16 failures, 17 unknown"
    shown = page(vendor, row, "statistics/")
    assert len(shown.all("svg title")) == 50
    assert [text.text for text in shown.all(".chart-axis text")][:2] == labels[:2]
    assert "50 attempts ago" in shown and "latest attempt, " in shown
    assert [cells[3] for cells in shown.rows()].count("no response") == 17


def test_no_attempts_no_chart(vendor: Client, row: Webhook) -> None:
    shown = page(vendor, row, "statistics/")
    assert "No attempts yet." in shown and not shown.all("svg.attempts-chart")


def test_htmx_gets_the_polled_part(vendor: Client, row: Webhook) -> None:
    part = page(vendor, row, "statistics/", **HTMX)
    assert not part.all("html") and "Events" in part
    actions.delete(row.pk)
    assert vendor.get(path(row, "statistics/"), headers=HTMX).status_code == 204


def test_number_of_statements_does_not_depend_on_the_attempts(vendor: Client, row: Webhook) -> None:
    row.last_failure = attempt(row)
    row.save()
    pages = [path(row, rest) for rest in GETS[:6]]
    before = counts(vendor, *pages)
    for n in range(2, 60):
        attempt(row, n)
    after = statements(vendor, *pages)
    assert [len(each) for each in after] == before and max(before) <= 22
    assert "response_body" not in str(after)


def test_response_is_shown_as_text(vendor: Client, row: Webhook) -> None:
    row.last_failure = attempt(row, error="Handler returned HTTP 500.", truncated=True)
    row.save()
    shown = page(vendor, row, "last/failure/", **HTMX)
    assert shown.rows() == [["X-Evil", "<b>bold</b>"]]
    assert shown.one("pre").raw_text.strip() == "<script>alert(1)</script>\\x00\\xff"
    assert shown.terms()["Status"] == "500" and shown.one("[data-cut]")
    assert "Handler returned HTTP 500." in shown and "Failed (1 of 10)." in shown
    assert not shown.all("script") and not shown.all("b")
    response = vendor.get(path(row, "last/failure/"))
    assert response["Location"] == f"/deliveries/{row.last_failure.delivery_id}/"
    for outcome in ("success", "unknown"):
        html.get(vendor, path(row, f"last/{outcome}/"), 404)


def test_long_response_is_cut(vendor: Client, row: Webhook) -> None:
    row.last_success = attempt(row, outcome="success", response_body=b"<" * 60_000)
    row.save()
    shown = page(vendor, row, "last/success/", **HTMX)
    assert shown.one("pre").raw_text.strip() == "<" * bodies.SHOWN and shown.one("[data-cut]")


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"data": {"a": {"b": 1}}}, '{\n  "a": {\n    "b": 1\n  }\n}'),
        ({}, "No custom data"),
        ({"http_method": "GET"}, "GET, which has no data"),
    ],
)
def test_custom_data_is_formatted(
    vendor: Client, catalog: Catalog, fields: dict[str, Any], shown: str
) -> None:
    assert shown in page(vendor, hook(catalog, **fields), "data/").raw_text


def test_http_settings_show_headers_and_warn_about_a_short_secret(
    vendor: Client, catalog: Catalog
) -> None:
    shown = page(vendor, hook(catalog, jwt_secret="short", headers={"Accept": "<lab>"}), "http/")
    assert shown.rows() == [["Accept", "<lab>"]] and shown.one("#secret code").text == "*****"
    warning = "[data-warning=short-secret]"
    assert shown.one(warning) and not page(vendor, hook(catalog, 2), "http/").all(warning)


# -- the secret


def test_secret_is_revealed_by_a_post_and_recorded(vendor: Client, row: Webhook) -> None:
    response = vendor.post(path(row, "secret/"))
    shown = html.parse(response)
    assert shown.one("#secret-text").text == CANARY and shown.all("html")
    part = html.parse(vendor.post(path(row, "secret/"), headers=HTMX))
    assert part.one("#secret-text").text == CANARY and not part.all("html")
    assert response["Cache-Control"] == "no-store"
    assert history() == ["Revealed the JWT secret."] * 2
    assert vendor.get(path(row, "secret/")).status_code == 405


def test_new_secret_is_shown_once(vendor: Client, row: Webhook) -> None:
    assert page(vendor, row, "secret/new/").one("[name=revision]").value == "0"
    response = vendor.post(path(row, "secret/new/"), {"revision": "0"})
    row.refresh_from_db()
    assert (
        row.jwt_secret != CANARY and html.parse(response).one("#secret-text").text == row.jwt_secret
    )
    # Results of requests in flight don't count for the new settings.
    assert (row.revision, row.modified_by) == (1, row.account.users.get(username="vendor1"))
    again = vendor.post(path(row, "secret/new/"), {"revision": "0"}, follow=True)
    assert "was not changed" in messages(again)
    assert Webhook.objects.get().jwt_secret == row.jwt_secret
    assert history() == ["Created a new JWT secret."]


def test_undecryptable_secret_is_explained(vendor: Client, row: Webhook, settings: Any) -> None:
    settings.SIM_ENCRYPTION_KEY = "another"
    shown = page(vendor, row, "http/")
    assert "SIM_ENCRYPTION_KEY" in shown.one("#secret") and not shown.roles("button", "Reveal")
    assert "SIM_ENCRYPTION_KEY" in html.parse(vendor.post(path(row, "secret/"))).one("#secret")


# -- edit


def test_edit_changes_editable_fields(vendor: Client, row: Webhook, catalog: Catalog) -> None:
    body = form(
        product="PRD-1", type="validator", kind="validator:usage_file", description="a\r\nb"
    )
    response = vendor.post(path(row, "edit/"), body, follow=True)
    assert response.redirect_chain == [(path(row), 303)] and messages(response) == "Webhook saved"
    expected = {
        "label": "Renamed",
        "description": "a\nb",
        "active": True,
        "type": "event",
        "product": catalog.product,
        "jwt_secret": CANARY,
        "headers": {"X-Env": "lab"},
        "data": {"a": 1},
        "modified_by": catalog.vendor_user,
    }
    saved = Webhook.objects.get()
    assert {name: getattr(saved, name) for name in expected} == expected
    assert history() == ["Changed name, description, headers, additional data."]


def test_edit_sets_a_secret_and_disables(vendor: Client, row: Webhook) -> None:
    secret = "my-own-secret-of-thirty-two-bytes"
    vendor.post(
        path(row, "edit/"), {k: v for k, v in form(jwt_secret=secret).items() if k != "active"}
    )
    row.refresh_from_db()
    assert (row.jwt_secret, row.active) == (secret, False)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"label": ""}, "This field is required."),
        ({"external_url": "http://[::1"}, "in brackets"),
        ({"external_url": "http://[::ffff:a9fe:a9fe]/"}, "link-local address"),
        ({"jwt_secret": "x" * 101}, "no more than 100"),
        ({"data": "{"}, "not valid JSON"),
        ({"header_name": ["Host"], "header_value": ["x"]}, "reserved for the connection"),
        ({"header_name": ["A", "a"], "header_value": ["1", "2"]}, "same header as A"),
        ({"label": "\0"}, "Null characters"),
    ],
)
def test_invalid_edit_shows_errors_and_saves_nothing(
    vendor: Client, row: Webhook, change: dict[str, Any], sentence: str
) -> None:
    response = vendor.post(path(row, "edit/"), form(description="typed", **change))
    shown = html.parse(response)
    assert response.status_code == 200 and sentence in " ".join(shown.errors)
    assert shown.by_label("Description").value == "typed"
    names = [each.value for each in shown.all("[name=header_name]")]
    assert set(change.get("header_name", ["X-Env"])) <= set(names)
    assert Webhook.objects.get().description == "" and history() == []


def test_edit_keeps_a_url_that_would_be_refused_now(vendor: Client, row: Webhook) -> None:
    url = "http://169.254.169.254/"
    Webhook.objects.update(external_url=url)
    response = vendor.post(path(row, "edit/"), form(external_url=url), follow=True)
    assert messages(response) == "Webhook saved"
    row.refresh_from_db()
    assert (row.label, row.external_url) == ("Renamed", url)


def test_header_row_is_added_to_an_edit(vendor: Client, row: Webhook) -> None:
    shown = html.parse(vendor.post(path(row, "edit/"), form(label="", go="row")))
    assert len(shown.all("[name=header_name]")) == 3 and not shown.errors


def test_validator_requires_post(vendor: Client, catalog: Catalog) -> None:
    row = hook(catalog, type="validator")
    response = vendor.post(path(row, "edit/"), form(http_method="GET"))
    assert html.parse(response).one("[data-field=http_method]").errors


@pytest.mark.parametrize(
    ("module", "name", "place", "status"),
    [(actions, "edit", "edit/", 404), (fan_out, "trigger", "do/trigger/", 200)],
)
def test_webhook_that_was_deleted_meanwhile(
    vendor: Client,
    row: Webhook,
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    name: str,
    place: str,
    status: int,
) -> None:
    original = getattr(module, name)

    def deleted_just_before(*args: Any) -> Any:
        actions.delete(row.pk)
        return original(*args)

    monkeypatch.setattr(module, name, deleted_just_before)
    response = vendor.post(path(row, place), form(next="/webhooks/"), follow=True)
    assert response.status_code == status and "may have been deleted" in messages(response)


# -- delete, trigger, enable, disable, recover


def test_delete_counts_and_deletes_the_log(vendor: Client, row: Webhook) -> None:
    attempt(row, 1)
    attempt(row, 2)
    terms = page(vendor, row, "delete/").one("main").terms()
    assert terms == {"Deliveries": "1", "Attempts": "2", "Events": "0"}
    response = vendor.post(path(row, "delete/"), follow=True)
    assert response.redirect_chain == [("/webhooks/", 303)]
    assert messages(response) == f"Webhook {row.pk} deleted"
    assert not any(model._default_manager.exists() for model in (Webhook, Delivery, Event, Attempt))
    again = vendor.post(path(row, "delete/"))
    assert again.status_code == 404 and "may have been deleted" in messages(again)


def test_trigger_now(vendor: Client, row: Webhook) -> None:
    response = vendor.post(path(row, "do/trigger/"), follow=True)
    assert response.redirect_chain == [(path(row), 303)]
    assert f'<a href="/deliveries/{Delivery.objects.get().pk}/">' in messages(response)
    assert Delivery.objects.get().forced and history() == ["Trigger now."]


def test_unavailable_action_is_explained(vendor: Client, catalog: Catalog) -> None:
    row = hook(catalog, active=False)
    for name, words in (("trigger", "is disabled: enable it"), ("recover", "not out of order")):
        response = vendor.post(path(row, f"do/{name}/"), follow=True)
        assert response.status_code == 200 and words in messages(response)
    assert vendor.post(path(row, "do/explode/")).status_code == 404
    assert vendor.get(path(row, "do/trigger/")).status_code == 405
    assert not Delivery.objects.exists() and history() == []


def test_disable_enable_and_recover(vendor: Client, row: Webhook) -> None:
    attempt(row)
    shown = page(vendor, row)
    assert shown.by_role("button", "Disable") and not shown.roles("button", "Recover")
    vendor.post(path(row, "do/disable/"))
    assert Delivery.objects.get().state == "cancelled"
    assert page(vendor, row).by_role("button", "Enable")
    vendor.post(path(row, "do/enable/"))
    Webhook.objects.update(out_of_order=True)
    assert page(vendor, row).one("#status .badge").text == "Out of order"
    assert page(vendor, row).by_role("button", "Recover")
    assert "has recovered" in messages(vendor.post(path(row, "do/recover/"), follow=True))
    row.refresh_from_db()
    assert row.active and not row.out_of_order


@pytest.mark.parametrize(
    ("origin", "target"),
    [
        ("/webhooks/?page=2", "/webhooks/?page=2"),
        ("https://evil.example.com/webhooks/", None),
        ("//evil.example.com/webhooks/", None),
        ("/", "/"),
    ],
)
def test_action_returns_to_a_page_of_this_server(
    vendor: Client, row: Webhook, origin: str, target: str | None
) -> None:
    response = vendor.post(path(row, "do/trigger/"), {"next": origin})
    assert response["Location"] == (target or path(row))
