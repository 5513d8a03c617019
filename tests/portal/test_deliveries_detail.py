"""The page of one delivery: its attempts, request and response, the token, the next attempt."""

from __future__ import annotations

import gzip
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from requests_queue import clock
from requests_queue.models import Clock
from tests import html, make
from tests.html import Element
from tests.portal.delivery_rows import CLAIMS, attempt, delivery
from tests.signed_in import vendor
from webhooks.delivery.request import encode_payload
from webhooks.models import Attempt, ClearedBackoff, Delivery, Event, Resend, Webhook

__all__ = ["vendor"]

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def row(hook: Webhook) -> Delivery:
    """A delivery of a Trigger now."""
    return delivery(hook)


def page(client: Client, row: Delivery, query: str = "") -> Element:
    return html.get(client, f"/deliveries/{row.pk}/{query}")


def next_step(page: Element) -> str:
    """Return the next step shown on the page, empty without one."""
    return " ".join(each.text for each in page.all("#next p"))


def times(page: Element) -> set[str]:
    """Return the times of next attempts."""
    return set(re.findall(r"at (\d\d:\d\d:\d\d UTC)", page.text))


def shown_body(page: Element, label: str = "Response body") -> str:
    """Return a body as it is shown."""
    return page.one(f'*[aria-label="{label}"]').raw_text.removeprefix("\n")


def changes(page: Element) -> list[list[str]]:
    """Return the rows of the table of differences."""
    return page.one(".differences").rows()


@pytest.mark.parametrize("path", ["9999999/", f"{'9' * 25}/", "{}/?attempt=7", "{}/?attempt=x",
                                  f"{{}}/?attempt={'9' * 30}"])  # fmt: skip
def test_unknown_delivery_or_attempt_is_not_found(vendor: Client, row: Delivery, path: str) -> None:
    attempt(row)
    assert vendor.get(f"/deliveries/{path.format(row.pk)}").status_code == 404


S = timedelta(seconds=1)


def freeze(moment: datetime) -> None:
    """Freeze platform time."""
    Clock.objects.update_or_create(pk=1, defaults={"frozen_at": moment})


def selected(page: Element) -> str:
    """Return the id of the attempt that is shown."""
    return page.one("[data-step][aria-current=true]")["id"]


def failed(row: Delivery, seconds: int, why: str = "Failed (1 of 10).") -> Attempt:
    """Record a failure that was followed by a backoff of so many seconds."""
    created = attempt(row, "failure", why=why)
    created.next_attempt_at = created.finished_at + seconds * S
    created.save()
    return created


def test_attempts_show_their_result_and_the_next_attempt(vendor: Client, hook: Webhook) -> None:
    row = delivery(hook, "PR-1111-1111-1111-001", state="waiting")
    Attempt.objects.filter(pk=failed(row, 300).pk).update(error="Handler returned HTTP 500.")
    last = failed(row, 600, "Failed (2 of 10).")
    Webhook.objects.update(earliest_possible_trigger=last.next_attempt_at, round=2)
    freeze(last.next_attempt_at - 599 * S)
    entries = page(vendor, row)
    listed = entries.one('[aria-labelledby="attempts-title"]').roles("listitem")
    assert [each.text for each in listed] == [
        "Attempt 3 in 9 min 59 s",
        "Attempt 2 500 failure 7 ms 2026-11-01 09:05:00 UTC, 5 min later Failed (2 of 10). "
        "Backoff of 10 min.",
        "Attempt 1 500 failure 7 ms 2026-11-01 09:00:00 UTC Failed (1 of 10). Backoff of 5 min.",
    ]
    assert next_step(entries) == "Next attempt in 9 min 59 s, at 09:15:00 UTC."
    assert times(entries) == {"09:15:00 UTC"}
    countdowns = entries.all("time[data-time=countdown]")
    assert {each["datetime"] for each in countdowns} == {
        f"{last.next_attempt_at:%Y-%m-%dT%H:%M:%SZ}"
    }
    # The last attempt is shown, unless another is selected; its error is shown once.
    chosen = page(vendor, row, "?attempt=1")
    assert (selected(entries), selected(chosen)) == ("attempt2", "attempt1")
    assert chosen.text.count("Handler returned HTTP 500.") == 1 and "HTTP 500." not in entries


def test_next_attempt_in_the_past_is_due_now(vendor: Client, hook: Webhook) -> None:
    row = delivery(hook, state="waiting")
    last = failed(row, 300)
    Webhook.objects.update(earliest_possible_trigger=last.next_attempt_at, round=1)
    freeze(last.next_attempt_at)
    entries = page(vendor, row)
    assert "Failed (1 of 10). Due now." in entries
    assert next_step(entries) == "Due now, but no worker is running."
    assert "Attempt 2 due now" in entries and not times(entries)


@pytest.mark.parametrize(
    ("seconds", "moved"),
    [
        (60, "Later than recorded by 1 min: another request failed since."),
        (-60, "Sooner than recorded: that backoff was cleared, and another one began."),
        (0, ""),
    ],
)
def test_moved_next_attempt_shows_the_reason(
    vendor: Client, hook: Webhook, seconds: int, moved: str
) -> None:
    row = delivery(hook, state="waiting")
    last = failed(row, 300)
    until = last.next_attempt_at + seconds * S
    Webhook.objects.update(earliest_possible_trigger=until, round=1)
    freeze(last.finished_at)
    entries = page(vendor, row)
    assert times(entries) == {f"{until:%H:%M:%S} UTC"}
    assert f"Backoff of 5 min. {moved}".strip() in entries
    assert ("recorded" in entries) == bool(moved)


def test_cleared_backoffs_are_listed_between_the_attempts(
    vendor: Client, hook: Webhook, catalog: make.Catalog
) -> None:
    row, other = delivery(hook), delivery(hook)
    failed(row, 300)
    second = attempt(row)
    triggered = attempt(other, started_at=make.AT + 60 * S, finished_at=make.AT + 61 * S)
    fields = {"webhook": hook, "failures": 1, "was_out_of_order": False}
    user = catalog.vendor_user
    for cause, seconds, more in (
        ("triggered", 61, {"attempt": triggered}),
        ("edited", 90, {"user": user, "detail": "endpoint URL"}),
        # Before the first failure, by the second attempt itself, and after it.
        ("recovered", -9, {"user": user}),
        ("succeeded", 300, {"attempt": second}),
        ("disabled", 400, {"user": user}),
    ):
        at = make.AT + seconds * S
        ClearedBackoff.objects.create(cause=cause, at=at, **fields, **more)
    entries = page(vendor, row)
    assert (
        "2026-11-01 09:01:30 UTC Backoff cleared: "
        f"edited by {user.name} (endpoint URL). 2026-11-01 09:01:01 UTC Backoff cleared: Trigger "
        f"now succeeded (attempt 1 of delivery {other.pk}). Attempt 1"
    ) in entries
    assert "recovered" not in entries.text.lower() and "disabled by" not in entries
    assert f"attempt 2 of delivery {row.pk}" not in entries


def test_cleared_backoff_is_listed_once_while_platform_time_is_frozen(
    vendor: Client, hook: Webhook, catalog: make.Catalog
) -> None:
    row = delivery(hook, state="waiting")
    failed(row, 300)
    at = make.AT + 300 * S
    Attempt.objects.filter(pk=failed(row, 300).pk).update(started_at=at, finished_at=at)
    hook.cleared_backoffs.create(
        at=at, cause="edited", user=catalog.vendor_user, failures=1, was_out_of_order=False
    )
    assert page(vendor, row).text.count("Backoff cleared: edited by") == 1


def test_delivery_that_waits_alone_shows_when_it_is_due(vendor: Client, hook: Webhook) -> None:
    at = clock.now() + timedelta(minutes=5)
    alone = delivery(hook, state="waiting", due_at=at, losses=2)
    attempt(alone)
    assert next_step(page(vendor, alone)).startswith(
        "It has lost its workers, so others pass it. Next attempt in"
    )
    # It isn't sent before the others.
    other = delivery(hook, state="waiting")
    assert "older" not in next_step(page(vendor, other))
    Delivery.objects.filter(pk=alone.pk).update(due_at=clock.now())
    assert "1 older delivery is pending." in next_step(page(vendor, other))


@pytest.mark.parametrize(
    ("state", "fields", "text"),
    [
        (
            "waiting",
            {"out_of_order": True},
            "Paused: the webhook is out of order. Recover it, save it, or let a Trigger now",
        ),
        (
            "waiting",
            {},
            "Due now, but no worker is running. 1 older delivery is pending.",
        ),
        ("calling", {}, "In flight. Times out in"),
        ("cancelled", {}, "Cancelled: the webhook was disabled"),
        ("delivered", {}, ""),
    ],
)
def test_next_step_depends_on_the_state(
    vendor: Client, hook: Webhook, state: str, fields: dict[str, Any], text: str
) -> None:
    delivery(hook, state="waiting")
    attempt(row := delivery(hook, state=state, started_at=clock.now()))
    Webhook.objects.update(**fields)
    shown = next_step(page(vendor, row))
    assert shown.startswith(text) and bool(shown) == bool(text)


def test_request_and_response_are_shown_as_text(vendor: Client, row: Delivery) -> None:
    attempt(
        row,
        "failure",
        error="<img src=x>\x07",
        url="http://127.0.0.1/<b>",
        response_headers=[["X-<i>", "<script>\x1b[0m"], ["Content-Type", "text/html"]],
        response_body=b"<script>alert(1)</script>\x1b[31m\xff\xfe \xe2\x80\xae end" + b"\n\x00",
    )
    html = vendor.get(f"/deliveries/{row.pk}/").content.decode()
    shown = (
        "&lt;script&gt;alert(1)&lt;/script&gt;\\x1b[31m\\xff\\xfe [U+202E] end\n\\x00</pre>",
        "&lt;img src=x&gt;\\x07",
        "X-&lt;i&gt;",
        "&lt;script&gt;\\x1b[0m",
        "127.0.0.1/&lt;b&gt;",
        "Not valid UTF-8",
        "Control characters are shown",
    )
    assert [text for text in shown if text not in html] == []
    raw = ("<script>alert", "<img src=x>", "\x00", "\x1b", "\u202e")
    assert [text for text in raw if text in html] == []


JSON = b'{"a":1.0e5,"a":[],"b":[{"c":"x, {y}"}]}'
GZIP = {"response_headers": [["Content-Encoding", "gzip"]]}


@pytest.mark.parametrize(
    ("body", "fields", "query", "shown", "note"),
    [
        (JSON, {}, "",
         '{\n  "a": 1.0e5,\n  "a": [],\n  "b": [\n    {\n      "c": "x, {y}"\n    }\n  ]\n}', ""),
        (JSON, {}, "?attempt=1&raw=1", JSON.decode(), ""),
        (b'[{"id": 1}, {"id": "a', {"truncated": True}, "",
         '[\n  {\n    "id": 1\n  },\n  {\n    "id": "a', ""),
        (b'[{"id": 1}, {"id', {"response_headers": [["Content-Type", "text/plain"]],
                               "truncated": True}, "", '[{"id": 1}, {"id', ""),
        (gzip.compress(b'{"packed": true}', mtime=0), GZIP, "", '{\n  "packed": true\n}',
         "Decompressed (gzip)."),
        (b"not at all", GZIP, "", "not at all", "cannot be decompressed"),
        ("Grüße".encode("latin-1"),
         {"response_headers": [["content-type", "text/plain; charset=iso-8859-1"]]}, "",
         "Grüße", ""),
    ],
)  # fmt: skip
def test_body_is_decoded_and_json_is_formatted_unless_raw(
    vendor: Client,
    row: Delivery,
    body: bytes,
    fields: dict[str, Any],
    query: str,
    shown: str,
    note: str,
) -> None:
    attempt(row, response_body=body, **fields)
    entries = page(vendor, row, query)
    assert shown_body(entries) == shown and note in entries


@pytest.mark.parametrize(
    "body", [b"A" * 65536, b"[" * 65536, b'"' * 65536, b"\x00" * 65536,
             b"[" * 900 + b"]" * 900, b"[" + b"1," * 32000 + b"1]", b"\xff" * 65536],
)  # fmt: skip
def test_large_body_is_cut_unless_the_full_body_is_requested(
    vendor: Client, row: Delivery, body: bytes
) -> None:
    attempt(row, response_body=body, truncated=True)
    cut = vendor.get(f"/deliveries/{row.pk}/").content.decode()
    assert len(cut) < 110_000
    assert "bytes are stored." in cut
    full = vendor.get(f"/deliveries/{row.pk}/?attempt=1&full=1").content.decode()
    assert len(cut) <= len(full) < 2_600_000


def test_beginning_of_a_compressed_body_is_decompressed(vendor: Client, row: Delivery) -> None:
    attempt(row, response_body=gzip.compress(b"0" * 5_000_000, mtime=0), **GZIP)
    assert "Only the first 65,536 bytes are decompressed." in page(vendor, row)


def test_token_is_decoded_and_checked(vendor: Client, hook: Webhook, row: Delivery) -> None:
    exp = int(clock.now().timestamp()) + 60
    attempt(row, claims={**CLAIMS, "exp": exp})
    entries = page(vendor, row)
    assert tones(entries) == ["good"]
    assert '"typ": "JWT"' in entries.one('[aria-labelledby="token-title"]')
    # The payload is shown once: these are the claims that the body hasn't.
    assert shown_body(entries, "Token claims") == f'{{\n  "exp": {exp}\n}}'
    assert entries.one("[data-expires] span").text == "Expires"
    attempt(row, claims=dict(sorted(CLAIMS.items())))
    assert page(vendor, row).one("[data-expires] span").text == "Expired"
    Webhook.objects.update(revision=2)
    entries = page(vendor, row)
    assert "were edited 2 times since" in entries.one("[data-tone=bad]")
    assert "is not retried" in entries and hook.jwt_secret not in entries
    hook.refresh_from_db()
    hook.jwt_secret = ""
    hook.save()
    assert tones(page(vendor, row)) == ["bad"]


def tones(page: Element) -> list[str]:
    """Return how the check of the token is marked."""
    return [each["data-tone"] for each in page.all("[data-tone]")]


def test_fault_is_named_and_the_signature_left_open(vendor: Client, row: Delivery) -> None:
    attempt(row)
    assert not page(vendor, row).all("[data-faults]")
    attempt(row, faults=[{"name": "x", "kind": "no_token"}], request_headers={"X-Env": "lab"})
    shown = page(vendor, row)
    assert (len(shown.all("[data-unsigned]")), tones(shown)) == (1, [])
    attempt(row, faults=[{"name": "<mine>", "kind": "rotate_secret"}])
    shown = page(vendor, row)
    assert shown.one("[data-faults]").text == "Changed by a fault: <mine> (rotate_secret)"
    assert tones(shown) == ["quiet"]


def test_redacted_attempt_says_so(vendor: Client, hook: Webhook, row: Delivery) -> None:
    attempt(row)
    assert not page(vendor, row).all("[data-redacted]")
    last = attempt(row, "failure", redacted=True)
    assert page(vendor, row).one("[data-redacted]")
    Webhook.objects.update(last_failure=last)
    part = vendor.get(f"/webhooks/{hook.pk}/last/failure/", headers={"HX-Request": "true"})
    assert "data-redacted" in part.content.decode()


def test_request_that_was_not_sent_has_no_token(vendor: Client, hook: Webhook) -> None:
    row = delivery(hook, state="waiting")
    entries = page(vendor, row)
    assert "Attempt 1 due now" in entries and not entries.roles("button", "Send again")
    attempt(
        row,
        "unknown",
        claims={},
        request_body="",
        request_headers={},
        status_code=None,
        response_headers=[],
        response_body=b"",
    )
    entries = page(vendor, row)
    assert "No token" in entries and "No response." in entries


def test_changes_since_the_previous_attempt(vendor: Client, row: Delivery) -> None:
    payload = {k: v for k, v in CLAIMS.items() if k != "exp"}
    attempt(row, "failure", response_body=b'{"error": "away", "gone": 1}')
    attempt(row, request_body=encode_payload({**payload, "data": {"n": 1}}).decode())
    assert not page(vendor, row, "?attempt=1").all(".differences")
    rows = {tuple(cells) for cells in changes(page(vendor, row))}
    assert rows >= {
        ("request.body.data.n", "–", "1"),
        ("response.status", "500", "200"),
        ("response.body.ok", "–", "true"),
        ("response.body.error", '"away"', "–"),
        ("response.body.gone", "1", "–"),
    }
    assert not any(name == "request.body.webhook_id" for name, *_ in rows)


def test_validators_response_is_compared_with_the_request(
    vendor: Client, catalog: make.Catalog
) -> None:
    row = delivery(make.webhook(catalog, n=9, type="validator"), "PR-1111-1111-1111-001")
    body = '{"id": "PR-1", "asset": {"params": [{"id": "region", "value": "us"}]}}'
    response = b'{"asset": {"params": [{"id": "region", "value": "eu"}]}}'
    attempt(row, request_body=body, response_body=response)
    region = ["asset.params[region].value", '"us"', '"eu"']
    assert changes(page(vendor, row))[0][:3] == region
    Resend.objects.create(delivery=row, number=1, changed=False, url="", method="", payload="{}")
    entries = page(vendor, row)
    assert changes(entries)[0] == [*region, "not merged"]
    assert "This is a resend, so the response is shown but not merged." in entries


def test_events_are_listed_and_the_rest_counted(vendor: Client, hook: Webhook) -> None:
    row = delivery(hook, *(f"PR-{n:04d}-0000-0000-001" for n in range(8)))
    events = page(vendor, row).terms()["Events"]
    assert events.endswith("PR-0004-0000-0000-001 created → pending +3 more")
    row.events.all().delete()
    assert page(vendor, row).terms()["Events"] == "Its events were moved to another delivery."


def test_pending_delivery_is_polled(vendor: Client, hook: Webhook) -> None:
    row = delivery(hook, state="waiting")
    attempt(row, "failure")
    poll = page(vendor, row).one("#delivery")["hx-get"]

    def look() -> Any:
        return vendor.get(f"/deliveries/{row.pk}/{poll}", headers=HTMX)

    assert (look().status_code, look().content) == (204, b"")
    attempt(row)
    Delivery.objects.filter(pk=row.pk).update(state="delivered")
    part = html.parse(look())
    assert not part.all("html")
    # The selected attempt stays, and the new one is listed.
    assert (selected(part), numbers(part)) == ("attempt1", [2, 1])
    assert "hx-trigger" not in part.one("#delivery").attributes


def test_number_of_statements_does_not_depend_on_the_rows(vendor: Client, hook: Webhook) -> None:
    row = delivery(hook, "PR-1111-1111-1111-001", state="waiting")
    counts = []
    for attempts in (10, 110):
        for _ in range(attempts):
            attempt(row, "failure")
            Event.objects.create(webhook=hook, delivery=row, at=make.AT)
        with CaptureQueriesContext(connection) as queries:
            entries = page(vendor, row)
        counts.append(len(queries))
    assert counts[0] == counts[1] < 32
    assert len(entries.all("[data-step]")) == 40 and entries.one("#attempt120")
    assert sum("response_body" in query["sql"] for query in queries) == 2


def numbers(page: Element) -> list[int]:
    """Return the numbers of the attempts that are listed."""
    return [int(each["id"].removeprefix("attempt")) for each in page.all("[data-step]")]


def test_attempts_are_paged(vendor: Client, row: Delivery) -> None:
    for _ in range(100):
        failed(row, 300)
    newest = page(vendor, row)
    older = page(vendor, row, newest.by_role("link", "Older attempts ›")["href"])
    oldest = page(vendor, row, older.by_role("link", "Older attempts ›")["href"])
    newer = page(vendor, row, oldest.by_role("link", "‹ Newer attempts")["href"])
    # A page is always full, and says what preceded its first attempt.
    assert [(numbers(each)[0], numbers(each)[-1]) for each in (newest, older, oldest, newer)] == [
        (100, 61),
        (60, 21),
        (40, 1),
        (80, 41),
    ]
    assert numbers(oldest) == list(range(40, 0, -1))
    assert not newest.roles("link", "‹ Newer attempts")
    assert "UTC, 5 min later" in older.one(".attempts").roles("listitem")[-1]
    # The page of an old attempt lists those around it.
    chosen = page(vendor, row, "?attempt=30")
    assert (numbers(chosen)[0], selected(chosen)) == (50, "attempt30")
    for wrong in ("x", "-1", "9" * 30):
        assert vendor.get(f"/deliveries/{row.pk}/?until={wrong}").status_code == 404


def test_claims_are_shown_where_the_body_is_not_the_payload(vendor: Client, row: Delivery) -> None:
    attempt(row, method="GET", request_body="", claims=dict(sorted(CLAIMS.items())))
    entries = page(vendor, row)
    # In Connect's order, independent of the order in the database.
    claims = shown_body(entries, "Token claims")
    assert claims.index("webhook_id") < claims.index("account_id") < claims.index('"exp"')
    assert entries.one('*[aria-label="Token claims"] mark').text.startswith('"exp"')


def test_resend_shows_how_it_differs_from_the_original(vendor: Client, hook: Webhook) -> None:
    original, row = delivery(hook), delivery(hook)
    attempt(original, "failure")
    payload = {k: v for k, v in CLAIMS.items() if k != "exp"}
    sent = {**payload, "data": {"n": 1}, "triggered_at": "2026-11-02T00:00:00+00:00"}
    attempt(row, request_body=encode_payload(sent).decode(), url="http://127.0.0.1:9/other")
    fields = {"repeats": original, "number": 1, "changed": True, "payload": "{}"}
    Resend.objects.create(delivery=row, url="", method="", **fields)
    differences = page(vendor, row).one('[aria-labelledby="resend-title"]').rows()
    url = f'"{hook.external_url}"'
    assert differences == [
        ["request.url", url, '"http://127.0.0.1:9/other"'],
        ["request.body.data.n", "–", "1"],
    ]
