"""A webhook's pages: its four tabs, its secret, its edit, and what is done to it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from portal.webhooks import webhook_statistics
from requests_queue import clock
from tests import make
from tests.make import AT, World
from tests.portal.webhooks import CANARY, attempt, said
from tests.signed_in import distributor, root, stranger, vendor, world  # noqa: F401  (fixtures)
from webhooks import actions
from webhooks.delivery import fan_out
from webhooks.models import Attempt, Delivery, Event, Webhook

pytestmark = pytest.mark.django_db

GETS = ("", "statistics/", "http/", "data/", "edit/", "delete/", "secret/new/", "last/failure/")
POSTS = ("edit/", "delete/", "secret/", "secret/new/", "do/trigger/", "do/enable/", "do/disable/",
         "do/recover/")  # fmt: skip
HTMX = {"HX-Request": "true"}


@pytest.fixture
def row(world: World) -> Webhook:
    """A webhook of the vendor's."""
    return hook(world)


def hook(world: World, n: int = 1, **more: Any) -> Webhook:
    return make.webhook(world, n=n, **{"jwt_secret": CANARY, **more})


def path(row: Webhook, rest: str = "") -> str:
    return f"/webhooks/{row.pk}/{rest}"


def html(client: Client, row: Webhook, rest: str = "", **headers: str) -> str:
    answer = client.get(path(row, rest), headers=headers)
    assert answer.status_code == 200
    return answer.content.decode()


def history() -> list[str]:
    return [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")]


def form(**more: Any) -> dict[str, Any]:
    return {
        "label": "Renamed", "description": "", "active": "on", "jwt_secret": "",
        "external_url": "http://127.0.0.1:9/", "http_method": "POST", "data": '{"a": 1}',
        "header_name": ["X-Env", ""], "header_value": ["lab", ""], **more,
    }  # fmt: skip


# -- whose it is


def test_it_is_not_there_for_others(
    distributor: Client, stranger: Client, row: Webhook, root: Client, world: World
) -> None:
    row.last_failure = attempt(row)
    row.save()
    root.post("/acting/", {"account": world.provider.pk})
    before = Webhook.objects.values().get()
    for other in (distributor, stranger, root):
        for rest in GETS:
            assert other.get(path(row, rest)).status_code == 404, rest
        for rest in POSTS:
            answer = other.post(path(row, rest), form())
            assert answer.status_code == 404, rest
            assert row.label not in answer.content.decode()
    assert Webhook.objects.values().get() == before and not LogEntry.objects.exists()


def test_one_that_is_not_there_looks_the_same_as_anothers(stranger: Client, row: Webhook) -> None:
    answers = [stranger.post(path(one, "do/trigger/")) for one in (row, Webhook(pk="WH-9-9-9"))]
    told = [
        re.sub(r'value="\w{64}"|content="\d[^"]*"|WH-[\d-]+', "", answer.content.decode())
        for answer in answers
    ]
    assert told[0] == told[1] and "may have been deleted" in told[0]


def test_nobody_reads_it_without_signing_in(row: Webhook) -> None:
    for rest in GETS:
        assert Client().get(path(row, rest)).status_code == 303
    for rest in POSTS:
        assert Client().post(path(row, rest), form())["Location"] == "/sign-in/"
    assert Webhook.objects.get().label == row.label


def test_the_secret_is_in_no_page_but_the_answer_that_reveals_it(
    vendor: Client, row: Webhook
) -> None:
    row.last_failure = attempt(row)
    row.save()
    for rest in GETS[:-1]:
        assert CANARY not in html(vendor, row, rest), rest
    assert "JWT-c0ff*****c3e7" in html(vendor, row, "http/")
    assert history() == []


# -- what the tabs say


def test_general_says_who_made_it_and_who_changed_it(
    vendor: Client, row: Webhook, world: World
) -> None:
    actions.edit(row.pk, world.provider_user, {"description": "For orders.\nAll of them."})
    text = html(vendor, row)
    for words in ("For orders.\nAll of them.", "2026-11-01 09:00:00 UTC", world.vendor_user.name,
                  world.provider_user.name, f"/deliveries/?q=webhook:{row.pk}"):  # fmt: skip
        assert words in text, words


def test_statistics_count_and_link(vendor: Client, row: Webhook) -> None:
    row.last_failure = attempt(row, duration=45)
    row.events, row.triggers, row.failure_triggers, row.failure_since_last_success = 7, 6, 5, 4
    row.earliest_possible_trigger = clock.shown(clock.now()) + timedelta(minutes=5)
    row.round, row.last_event = 1, AT
    row.save()
    text = html(vendor, row, "statistics/")
    for label, count in (("Events", 7), ("Triggers", 6), ("Success responses", 0),
                         ("Failure responses", 5), ("Failures since last success", 4)):  # fmt: skip
        shown = count or '<span class="none">–</span>'
        assert f'<dt>{label}</dt><dd class="big">{shown}</dd>' in text
    assert 'data-time="countdown"' in text and "Failed (1 of 10). Next attempt" in text
    assert "<strong>1</strong> pending" in text
    assert f'href="/deliveries/{row.last_failure.delivery_id}/"' in text
    assert "1 failure" in text and "45 ms" in text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "No worker is running: new events wait for one."),
        ({"active": False}, "Disabled: no requests are sent"),
        ({"type": "validator"}, "when a request is to be validated"),
        ({"out_of_order": True}, "Paused: the webhook is out of order."),
        ({"earliest_possible_trigger": AT}, "No worker is running"),
    ],
)
def test_no_next_trigger_is_explained_too(
    vendor: Client, world: World, fields: dict[str, Any], words: str
) -> None:
    text = html(vendor, hook(world, **fields), "statistics/")
    assert words in text
    assert 'id="next-trigger"' not in text and "Next attempt" not in text


def test_the_page_says_what_ended_the_last_backoffs(
    vendor: Client, world: World, row: Webhook
) -> None:
    for n in range(7):
        at = AT + timedelta(minutes=n)
        row.cleared_backoffs.create(
            at=at, cause="recovered", user=world.vendor_user, failures=10, was_out_of_order=True
        )
    row.cleared_backoffs.create(
        at=AT + timedelta(minutes=9), cause="triggered", attempt=attempt(row), failures=1,
        was_out_of_order=False,
    )  # fmt: skip
    text = html(vendor, row, "statistics/")
    assert "Backoff cleared: Trigger now succeeded (attempt 1 of delivery" in text
    assert text.count(f"Recovered by {world.vendor_user.name}.") == 4


def test_the_chart_has_the_latest_fifty(vendor: Client, row: Webhook) -> None:
    outcomes = ["success", "failure", "unknown"]
    for n in range(1, 61):
        attempt(row, n, outcome=outcomes[n % 3], status_code=None if n % 3 == 2 else 200,
                duration=n * 1000)  # fmt: skip
    chart = webhook_statistics.chart(row)
    assert [found["number"] for found in chart.rows] == list(range(60, 10, -1))
    assert [bar.x for bar in chart.bars] == [n * 12 for n in range(50)]
    assert all(bar.y >= 0 and bar.y + bar.height == 100 for bar in chart.bars)
    heights = [bar.height for bar in chart.bars]
    assert heights == sorted(heights) and heights[-1] == 100
    assert chart.said == "17 successes, 16 failures, 17 unknown"
    text = html(vendor, row, "statistics/")
    assert text.count("<title>2026-11-01") == 50 and text.count("<td>unknown") == 0
    assert text.count("no answer</td>") == 17


def test_no_attempts_make_no_chart(vendor: Client, row: Webhook) -> None:
    text = html(vendor, row, "statistics/")
    assert "No call has been made yet" in text and '<svg class="attempts-chart"' not in text


def test_htmx_gets_the_piece_that_changes(vendor: Client, row: Webhook) -> None:
    piece = html(vendor, row, "statistics/", **HTMX)
    assert "<html" not in piece and 'hx-swap-oob="innerHTML"' in piece and "Events" in piece
    actions.delete(row.pk)
    answer = vendor.get(path(row, "statistics/"), headers=HTMX)
    assert (answer.status_code, answer["HX-Redirect"]) == (200, "/webhooks/")
    assert "may have been deleted" in said(vendor.get("/webhooks/"))


def test_pages_cost_the_same_however_many_attempts_there_are(vendor: Client, row: Webhook) -> None:
    def statements(rest: str) -> int:
        with CaptureQueriesContext(connection) as found:
            html(vendor, row, rest)
        assert not any("response_body" in query["sql"] for query in found)
        return len(found)

    row.last_failure = attempt(row)
    row.save()
    before = [statements(rest) for rest in GETS[:6]]
    for n in range(2, 60):
        attempt(row, n)
    assert [statements(rest) for rest in GETS[:6]] == before
    assert max(before) <= 14


def test_a_response_is_shown_as_text_that_does_nothing(vendor: Client, row: Webhook) -> None:
    row.last_failure = attempt(row, error="The handler answered 500.", truncated=True)
    row.save()
    text = html(vendor, row, "last/failure/", **HTMX)
    for words in (
        "500", "X-Evil", "&lt;b&gt;bold", "&lt;script&gt;alert(1)", "␀\N{REPLACEMENT CHARACTER}",
        "The handler answered 500.", "Failure: round 1 of 10.", "the beginning",
    ):  # fmt: skip
        assert words in text, words
    assert "<script>" not in text
    answer = vendor.get(path(row, "last/failure/"))
    assert answer["Location"] == f"/deliveries/{row.last_failure.delivery_id}/"
    assert vendor.get(path(row, "last/success/")).status_code == 404
    assert vendor.get(path(row, "last/unknown/")).status_code == 404


def test_a_long_response_is_cut(vendor: Client, row: Webhook) -> None:
    row.last_success = attempt(row, outcome="success", response_body=b"<" * 60_000)
    row.save()
    text = html(vendor, row, "last/success/", **HTMX)
    assert "&lt;" * 8000 in text and "&lt;" * 8001 not in text and "the beginning" in text


def test_custom_data_is_pretty_and_a_get_says_why_it_has_none(vendor: Client, world: World) -> None:
    assert "&quot;a&quot;: {\n    &quot;b&quot;" in html(
        vendor, hook(world, data={"a": {"b": 1}}), "data/"
    )
    assert "There is none" in html(vendor, hook(world, 2), "data/")
    assert "GET, which carries no data" in html(vendor, hook(world, 3, http_method="GET"), "data/")


def test_http_settings_have_headers_and_warn_of_a_short_secret(
    vendor: Client, world: World
) -> None:
    text = html(vendor, hook(world, jwt_secret="short", headers={"Accept": "<lab>"}), "http/")
    assert "&lt;lab&gt;" in text and "32 bytes that HS256 wants" in text and ">*****<" in text
    assert "32 bytes" not in html(vendor, hook(world, 2), "http/")


# -- the secret


def test_it_is_revealed_by_a_post_that_the_history_tells(vendor: Client, row: Webhook) -> None:
    answer = vendor.post(path(row, "secret/"))
    assert CANARY in answer.content.decode() and "<html" in answer.content.decode()
    piece = vendor.post(path(row, "secret/"), headers=HTMX).content.decode()
    assert CANARY in piece and "<html" not in piece
    assert answer["Cache-Control"] == "no-store"
    assert history() == ["Revealed the JWT secret."] * 2
    assert vendor.get(path(row, "secret/")).status_code == 405


def test_a_new_secret_is_made_and_shown_once(vendor: Client, row: Webhook) -> None:
    asked = vendor.get(path(row, "secret/new/"))
    assert 'name="revision" value="0"' in asked.content.decode()
    answer = vendor.post(path(row, "secret/new/"), {"revision": "0"})
    row.refresh_from_db()
    assert row.jwt_secret != CANARY and row.jwt_secret in answer.content.decode()
    # What is under way says nothing of the new settings.
    assert (row.revision, row.modified_by) == (1, row.account.users.get(username="vendor1"))
    again = vendor.post(path(row, "secret/new/"), {"revision": "0"}, follow=True)
    assert "the secret was kept" in said(again)
    assert Webhook.objects.get().jwt_secret == row.jwt_secret
    assert history() == ["Made a new JWT secret."]


def test_a_secret_that_cannot_be_read_says_so(vendor: Client, row: Webhook, settings: Any) -> None:
    settings.SIM_ENCRYPTION_KEY = "another"
    text = html(vendor, row, "http/")
    assert "SIM_ENCRYPTION_KEY" in text and "Reveal" not in text
    assert "SIM_ENCRYPTION_KEY" in vendor.post(path(row, "secret/")).content.decode()


# -- edit


def test_an_edit_changes_what_may_be_changed(vendor: Client, row: Webhook, world: World) -> None:
    body = form(
        product="PRD-1", type="validator", kind="validator:usage_file", description="a\r\nb"
    )
    answer = vendor.post(path(row, "edit/"), body, follow=True)
    assert answer.redirect_chain == [(path(row), 303)] and "is saved" in said(answer)
    row.refresh_from_db()
    assert (row.label, row.description, row.active) == ("Renamed", "a\nb", True)
    assert (row.type, row.product, row.jwt_secret) == ("event", world.product, CANARY)
    assert (row.headers, row.data, row.modified_by) == ({"X-Env": "lab"}, {"a": 1},
                                                        world.vendor_user)  # fmt: skip
    assert history() == ["Changed name, description, headers, additional data."]


def test_an_edit_may_bring_a_secret_and_disable(vendor: Client, row: Webhook) -> None:
    secret = "my-own-secret-of-thirty-two-bytes"
    vendor.post(path(row, "edit/"), {k: v for k, v in form(jwt_secret=secret).items()
                                     if k != "active"})  # fmt: skip
    row.refresh_from_db()
    assert (row.jwt_secret, row.active) == (secret, False)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"label": ""}, "This field is required."),
        ({"external_url": "http://[::1"}, "stands in brackets"),
        ({"external_url": "http://[::ffff:a9fe:a9fe]/"}, "link-local address"),
        ({"jwt_secret": "x" * 101}, "no more than 100"),
        ({"data": "{"}, "not valid JSON"),
        ({"header_name": ["Host"], "header_value": ["x"]}, "belongs to the connection"),
        ({"header_name": ["A", "a"], "header_value": ["1", "2"]}, "same header as A"),
        ({"label": "\0"}, "Null characters"),
    ],
)
def test_a_wrong_edit_loses_nothing_and_writes_nothing(
    vendor: Client, row: Webhook, change: dict[str, Any], sentence: str
) -> None:
    answer = vendor.post(path(row, "edit/"), form(description="typed", **change))
    text = answer.content.decode()
    assert answer.status_code == 200 and sentence in text and "typed" in text
    assert all(f'value="{name}"' in text for name in change.get("header_name", ["X-Env"]))
    assert Webhook.objects.get().description == "" and history() == []


def test_an_edit_keeps_a_url_that_is_refused_now(vendor: Client, row: Webhook) -> None:
    url = "http://169.254.169.254/"
    Webhook.objects.update(external_url=url)
    answer = vendor.post(path(row, "edit/"), form(external_url=url), follow=True)
    assert "is saved" in said(answer)
    row.refresh_from_db()
    assert (row.label, row.external_url) == ("Renamed", url)


def test_a_row_is_added_to_an_edit(vendor: Client, row: Webhook) -> None:
    answer = vendor.post(path(row, "edit/"), form(label="", go="row"))
    assert answer.content.decode().count('name="header_name"') == 3
    assert "required." not in answer.content.decode()


def test_an_edit_of_a_validator_keeps_to_post(vendor: Client, world: World) -> None:
    row = hook(world, type="validator")
    answer = vendor.post(path(row, "edit/"), form(http_method="GET"))
    assert "Validators are called by POST" in answer.content.decode()


def test_an_edit_of_what_is_deleted_meanwhile(
    vendor: Client, row: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit = actions.edit

    def deleted_just_before(pk: str, *rest: Any) -> Any:
        actions.delete(pk)
        return edit(pk, *rest)

    monkeypatch.setattr(actions, "edit", deleted_just_before)
    answer = vendor.post(path(row, "edit/"), form())
    assert answer.status_code == 404 and "may have been deleted" in said(answer)


# -- delete, trigger, enable, disable, recover


def test_delete_says_what_is_lost_and_takes_it(vendor: Client, row: Webhook) -> None:
    attempt(row, 1)
    attempt(row, 2)
    text = html(vendor, row, "delete/")
    for name, count in (("Deliveries", 1), ("Attempts", 2), ("Events", 0)):
        assert f'<dt>{name}</dt><dd class="big">{count}</dd>' in text
    answer = vendor.post(path(row, "delete/"), follow=True)
    assert answer.redirect_chain == [("/webhooks/", 303)] and "is deleted" in said(answer)
    assert not any(model._default_manager.exists() for model in (Webhook, Delivery, Event, Attempt))
    again = vendor.post(path(row, "delete/"))
    assert again.status_code == 404 and "may have been deleted" in said(again)


def test_trigger_now(vendor: Client, row: Webhook) -> None:
    answer = vendor.post(path(row, "do/trigger/"), follow=True)
    assert answer.redirect_chain == [(path(row), 303)]
    assert "is triggered now: delivery" in said(answer)
    assert Delivery.objects.get().forced and history() == ["Trigger now."]


def test_what_can_not_be_done_is_a_sentence(vendor: Client, world: World) -> None:
    row = hook(world, active=False)
    for name, words in (("trigger", "is disabled: enable it"), ("recover", "not out of order")):
        answer = vendor.post(path(row, f"do/{name}/"), follow=True)
        assert answer.status_code == 200 and words in said(answer)
    assert vendor.post(path(row, "do/explode/")).status_code == 404
    assert vendor.get(path(row, "do/trigger/")).status_code == 405
    assert not Delivery.objects.exists() and history() == []


def test_triggering_what_is_deleted_meanwhile(
    vendor: Client, row: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    trigger = fan_out.trigger

    def deleted_just_before(found: Webhook) -> Delivery:
        actions.delete(found.pk)
        return trigger(found)

    monkeypatch.setattr(fan_out, "trigger", deleted_just_before)
    answer = vendor.post(path(row, "do/trigger/"), {"next": "/webhooks/"}, follow=True)
    assert answer.status_code == 200 and "may have been deleted" in said(answer)


def test_disable_enable_and_recover(vendor: Client, row: Webhook) -> None:
    attempt(row)
    assert 'do/disable/"' in html(vendor, row) and 'do/recover/"' not in html(vendor, row)
    vendor.post(path(row, "do/disable/"))
    assert Delivery.objects.get().state == "cancelled"
    assert 'do/enable/"' in html(vendor, row)
    vendor.post(path(row, "do/enable/"))
    Webhook.objects.update(out_of_order=True)
    assert "out of order</span>" in html(vendor, row)
    answer = vendor.post(path(row, "do/recover/"), follow=True)
    assert "has recovered" in said(answer)
    row.refresh_from_db()
    assert row.active and not row.out_of_order


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        ("/webhooks/?page=2", "/webhooks/?page=2"),
        ("https://evil.example.com/webhooks/", None),
        ("//evil.example.com/webhooks/", None),
        ("/", "/"),
    ],
)
def test_a_button_leads_back_to_its_page_if_it_is_one_of_ours(
    vendor: Client, row: Webhook, asked: str, where: str | None
) -> None:
    answer = vendor.post(path(row, "do/trigger/"), {"next": asked})
    assert answer["Location"] == (where or path(row))
