"""The page of one delivery: attempts, what was sent and returned, the token, what comes next."""

from __future__ import annotations

import gzip
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from requests_queue import clock
from requests_queue.models import Clock
from tests import make
from tests.portal.delivered import CLAIMS, attempt, delivery, hook
from tests.signed_in import distributor, stranger, vendor, world
from webhooks.delivery.request import encode_payload
from webhooks.models import Attempt, ClearedBackoff, Delivery, Event, Resend, Webhook

__all__ = ["distributor", "hook", "stranger", "vendor", "world"]

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def page(client: Client, row: Delivery, query: str = "") -> str:
    answer = client.get(f"/deliveries/{row.pk}/{query}")
    assert answer.status_code == 200
    return str(answer.content.decode())


def words(text: str) -> str:
    """Return the page's text in one line."""
    from html import unescape

    return " ".join(unescape(re.sub(r"<[^>]*>", " ", text)).split())


@pytest.mark.parametrize("path", ["", "change/?attempt=1", "again/", "curl/"])
def test_of_others_there_is_nothing(
    stranger: Client, distributor: Client, vendor: Client, hook: Webhook, path: str
) -> None:
    row = delivery(hook)
    attempt(row)
    for client in (stranger, distributor):
        ask = client.post if path in ("again/", "curl/") else client.get
        assert ask(f"/deliveries/{row.pk}/{path}").status_code == 404
        assert client.post(f"/deliveries/{row.pk}/change/", {"attempt": 1}).status_code == 404
    assert Delivery.objects.count() == 1
    ask = vendor.post if path in ("again/", "curl/") else vendor.get
    assert ask(f"/deliveries/{row.pk}/{path}").status_code in (200, 303)


@pytest.mark.parametrize("path", ["9999999/", f"{'9' * 25}/", "{}/?attempt=7", "{}/?attempt=x",
                                  f"{{}}/?attempt={'9' * 30}"])  # fmt: skip
def test_what_is_not_there_is_404(vendor: Client, hook: Webhook, path: str) -> None:
    row = delivery(hook)
    attempt(row)
    assert vendor.get(f"/deliveries/{path.format(row.pk)}").status_code == 404


S = timedelta(seconds=1)


def freeze(moment: datetime) -> datetime:
    """Stop the platform's time."""
    Clock.objects.update_or_create(pk=1, defaults={"frozen_at": moment})
    return moment


def failed(row: Delivery, seconds: int, why: str = "Failed (1 of 10).") -> Attempt:
    """Record a failure that was followed by a backoff of so many seconds."""
    made = attempt(row, "failure", why=why)
    made.next_attempt_at = made.finished_at + seconds * S
    made.save()
    return made


def test_attempts_say_what_they_led_to_and_when_the_next_one_is(
    vendor: Client, hook: Webhook
) -> None:
    row = delivery(hook, "PR-1111-1111-1111-001", state="waiting")
    Attempt.objects.filter(pk=failed(row, 300).pk).update(error="Handler returned HTTP 500.")
    last = failed(row, 600, "Failed (2 of 10).")
    Webhook.objects.update(earliest_possible_trigger=last.next_attempt_at, round=2)
    freeze(last.next_attempt_at - 599 * S)
    found = page(vendor, row)
    said = words(found)
    # A backoff that is over has no time of a next attempt.
    assert (
        "Attempt 1 500 failure 7 ms 2026-11-01 09:00:00 UTC Handler returned HTTP 500. "
        "Failed (1 of 10). Backoff of 5 min. 5 min later Attempt 2 500 failure 7 ms "
        "2026-11-01 09:05:00 UTC Failed (2 of 10). Next attempt in 9 min 59 s , at 09:15:00 UTC."
    ) in said
    assert "What happens next Next attempt in 9 min 59 s , at 09:15:00 UTC." in said
    assert set(re.findall(r"at (\d\d:\d\d:\d\d UTC)", said)) == {"09:15:00 UTC"}
    assert f'<time datetime="{last.next_attempt_at:%Y-%m-%dT%H:%M:%SZ}"' in found
    assert 'data-time="countdown"' in found
    # The last one is shown, unless another is chosen.
    assert 'id="attempt2" data-step href="?attempt=2" aria-current="true">' in found
    assert 'href="?attempt=1" aria-current="true">' in page(vendor, row, "?attempt=1")


def test_a_next_attempt_that_is_past_is_due_now(vendor: Client, hook: Webhook) -> None:
    row = delivery(hook, state="waiting")
    last = failed(row, 300)
    Webhook.objects.update(earliest_possible_trigger=last.next_attempt_at, round=1)
    freeze(last.next_attempt_at)
    said = words(page(vendor, row))
    assert "Failed (1 of 10). Due now." in said
    assert "What happens next Due now, but no worker is running." in said
    assert "Attempt 2 due now" in said and "UTC." not in said


@pytest.mark.parametrize(
    ("seconds", "moved"),
    [
        (60, "Later than recorded by 1 min: another request failed since."),
        (-60, "Sooner than recorded: that backoff was cleared, and another one began."),
        (0, ""),
    ],
)
def test_a_next_attempt_that_was_moved_says_why(
    vendor: Client, hook: Webhook, seconds: int, moved: str
) -> None:
    row = delivery(hook, state="waiting")
    last = failed(row, 300)
    until = last.next_attempt_at + seconds * S
    Webhook.objects.update(earliest_possible_trigger=until, round=1)
    freeze(last.finished_at)
    said = words(page(vendor, row))
    assert set(re.findall(r"at (\d\d:\d\d:\d\d UTC)", said)) == {f"{until:%H:%M:%S} UTC"}
    assert f"UTC. {moved}".strip() in said
    assert ("recorded" in said) == bool(moved)


def test_what_cleared_a_backoff_stands_between_the_attempts(
    vendor: Client, hook: Webhook, world: make.World
) -> None:
    row, other = delivery(hook), delivery(hook)
    first = failed(row, 300)
    second = attempt(row)
    triggered = attempt(other, started_at=make.AT + 60 * S, finished_at=make.AT + 61 * S)
    made = {"webhook": hook, "failures": 1, "was_out_of_order": False}
    user = world.vendor_user
    for cause, seconds, more in (
        ("triggered", 61, {"attempt": triggered}),
        ("edited", 90, {"user": user, "detail": "endpoint URL"}),
        # Before the first failure, by the second attempt itself, and after it.
        ("recovered", -9, {"user": user}),
        ("succeeded", 300, {"attempt": second}),
        ("disabled", 400, {"user": user}),
    ):
        at = make.AT + seconds * S
        ClearedBackoff.objects.create(cause=cause, at=at, **made, **more)
    assert first.next_attempt_at
    said = words(page(vendor, row))
    assert (
        "Failed (1 of 10). Backoff of 5 min. 2026-11-01 09:01:01 UTC Backoff cleared: Trigger now "
        f"succeeded (attempt 1 of delivery {other.pk}). 2026-11-01 09:01:30 UTC Backoff cleared: "
        f"edited by {user.name} (endpoint URL). 5 min later Attempt 2"
    ) in said
    assert "recovered" not in said.lower() and "disabled by" not in said
    assert f"attempt 2 of delivery {row.pk}" not in said


def test_what_cleared_a_backoff_is_shown_once_at_a_moment_that_stands(
    vendor: Client, hook: Webhook, world: make.World
) -> None:
    row = delivery(hook, state="waiting")
    failed(row, 300)
    at = make.AT + 300 * S
    Attempt.objects.filter(pk=failed(row, 300).pk).update(started_at=at, finished_at=at)
    hook.cleared_backoffs.create(
        at=at, cause="edited", user=world.vendor_user, failures=1, was_out_of_order=False
    )
    assert words(page(vendor, row)).count("Backoff cleared: edited by") == 1


@pytest.mark.parametrize(
    ("state", "standing", "sentence"),
    [
        (
            "waiting",
            {"out_of_order": True},
            "Paused: the webhook is out of order. Recover it, save it, or let a Trigger now",
        ),
        (
            "waiting",
            {},
            "Due now, but no worker is running. 1 older delivery is pending before it.",
        ),
        ("calling", {}, "In flight. Times out in"),
        ("cancelled", {}, "Cancelled: the webhook was disabled"),
        ("delivered", {}, "What happens next Delivered."),
    ],
)
def test_what_happens_next(
    vendor: Client, hook: Webhook, state: str, standing: dict[str, Any], sentence: str
) -> None:
    delivery(hook, state="waiting")
    row = delivery(hook, state=state, started_at=clock.now())
    attempt(row)
    Webhook.objects.update(**standing)
    assert sentence in words(page(vendor, row))


def test_what_was_sent_and_answered_is_shown_as_text(vendor: Client, hook: Webhook) -> None:
    row = delivery(hook)
    attempt(
        row, "failure", error="<img src=x>\x07", url="http://127.0.0.1/<b>",
        response_headers=[["X-<i>", "<script>\x1b[0m"], ["Content-Type", "text/html"]],
        response_body=b"<script>alert(1)</script>\x1b[31m\xff\xfe \xe2\x80\xae end" + b"\n\x00",
    )  # fmt: skip
    found = page(vendor, row)
    for shown in (
        "&lt;script&gt;alert(1)&lt;/script&gt;\\x1b[31m\\xff\\xfe [U+202E] end\n\\x00</pre>",
        "&lt;img src=x&gt;\\x07", "X-&lt;i&gt;", "&lt;script&gt;\\x1b[0m", "127.0.0.1/&lt;b&gt;",
        "isn&#x27;t valid UTF-8", "Control characters are shown",
    ):  # fmt: skip
        assert shown in found, shown
    for raw in ("<script>alert", "<img src=x>", "\x00", "\x1b", "\u202e"):
        assert raw not in found


def test_json_is_formatted_and_shown_as_it_came_on_demand(vendor: Client, hook: Webhook) -> None:
    row = delivery(hook)
    attempt(row, response_body=b'{"a":1.0e5,"a":[],"b":[{"c":"x, {y}"}]}')
    formatted = '{\n  "a": 1.0e5,\n  "a": [],\n  "b": [\n    {\n      "c": "x, {y}"\n    }\n  ]\n}'
    assert formatted.replace('"', "&quot;") in page(vendor, row)
    raw = page(vendor, row, "?attempt=1&raw=1")
    assert '{"a":1.0e5,"a":[],"b":[{"c":"x, {y}"}]}'.replace('"', "&quot;") in raw


@pytest.mark.parametrize(
    "body", [b"A" * 65536, b"[" * 65536, b'"' * 65536, b"\x00" * 65536,
             b"[" * 900 + b"]" * 900, b"[" + b"1," * 32000 + b"1]", b"\xff" * 65536],
)  # fmt: skip
def test_a_large_body_is_cut_and_shown_whole_on_demand(
    vendor: Client, hook: Webhook, body: bytes
) -> None:
    row = delivery(hook)
    attempt(row, response_body=body, truncated=True)
    found = page(vendor, row)
    assert len(found) < 110_000
    assert "bytes are stored." in found
    whole = page(vendor, row, "?attempt=1&whole=1")
    assert len(whole) >= len(found)
    assert len(whole) < 2_600_000


def test_what_came_compressed_is_unpacked_to_be_read(vendor: Client, hook: Webhook) -> None:
    row = delivery(hook)
    headers = [["Content-Encoding", "gzip"]]
    attempt(row, response_headers=headers, response_body=gzip.compress(b'{"packed": true}'))
    attempt(row, response_headers=headers, response_body=gzip.compress(b"0" * 5_000_000))
    attempt(row, response_headers=headers, response_body=b"not at all")
    attempt(row, response_headers=[["content-type", "text/plain; charset=iso-8859-1"]],
            response_body="Grüße".encode("latin-1"))  # fmt: skip
    first, bomb, broken, latin = (page(vendor, row, f"?attempt={n}") for n in (1, 2, 3, 4))
    assert "&quot;packed&quot;: true" in first and "is shown unpacked" in first
    assert "Only the first 65,536 bytes were unpacked." in bomb
    assert "not at all" in broken and "is broken" in broken
    assert "Grüße" in latin


def test_the_token_is_told_and_judged(vendor: Client, hook: Webhook) -> None:
    row = delivery(hook)
    exp = int(clock.now().timestamp()) + 60
    attempt(row, claims={**CLAIMS, "exp": exp})
    said = words(page(vendor, row))
    assert "The signature verifies with the webhook's JWT secret" in said
    assert '"typ": "JWT"' in said and f'"exp": {exp}' in said
    assert "Expires " in said and "Expired" not in said
    attempt(row, claims=dict(sorted(CLAIMS.items())))
    found = page(vendor, row)
    assert "Expired" in found
    # In Connect's order, whatever the database made of it.
    claims = found[found.index("Claims of the token") :]
    assert claims.index("webhook_id") < claims.index("account_id") < claims.index("&quot;exp&quot;")
    Webhook.objects.update(revision=2)
    found = page(vendor, row)
    assert "was edited 2 times since" in words(
        found
    ) and "signed again, the same claims do" in words(found)
    assert "one call, which is not tried again" in words(found)
    hook.refresh_from_db()
    assert hook.jwt_secret not in found
    hook.jwt_secret = ""
    hook.save()
    assert "The JWT secret cannot be decrypted" in words(page(vendor, row))


def test_nothing_was_signed_where_the_call_never_went_out(vendor: Client, hook: Webhook) -> None:
    row = delivery(hook, state="waiting")
    assert "Not called yet." in page(vendor, row)
    assert "Send again" not in page(vendor, row)
    attempt(row, "unknown", claims={}, request_body="", request_headers={}, status_code=None,
            response_headers=[], response_body=b"")  # fmt: skip
    said = words(page(vendor, row))
    assert "Nothing was signed" in said and "There was no answer." in said


def test_what_differs_from_the_attempt_before(vendor: Client, hook: Webhook) -> None:
    row = delivery(hook)
    told = {k: v for k, v in CLAIMS.items() if k != "exp"}
    attempt(row, "failure", response_body=b'{"error": "away", "gone": 1}')
    attempt(row, request_body=encode_payload({**told, "data": {"n": 1}}).decode())
    assert "What differs from attempt 0" not in page(vendor, row, "?attempt=1")
    said = words(page(vendor, row))
    for change in (
        "request.body.data.n – 1", "response.status 500 200", "response.body.ok – true",
        'response.body.error "away" –', "response.body.gone 1 –",
    ):  # fmt: skip
        assert change in said, change
    assert "request.body.webhook_id" not in said


def test_a_validators_answer_is_compared_with_what_was_sent(
    vendor: Client, world: make.World
) -> None:
    hook = make.webhook(world, n=9, type="validator")
    row = delivery(hook, "PR-1111-1111-1111-001")
    body = '{"id": "PR-1", "asset": {"params": [{"id": "region", "value": "us"}]}}'
    got = b'{"asset": {"params": [{"id": "region", "value": "eu"}]}}'
    attempt(row, request_body=body, response_body=got)
    assert 'asset.params[region].value "us" "eu"' in words(page(vendor, row))
    Resend.objects.create(delivery=row, number=1, changed=False, url="", method="", payload="{}")
    said = words(page(vendor, row))
    assert 'asset.params[region].value "us" "eu" not merged' in said
    assert "nobody waited for it: the answer is shown, not merged" in said


def test_several_objects_are_named_and_the_rest_counted(vendor: Client, hook: Webhook) -> None:
    row = delivery(hook, *(f"PR-{n:04d}-0000-0000-001" for n in range(8)))
    said = words(page(vendor, row))
    assert "PR-0004-0000-0000-001 created → pending +3 more" in said
    row.events.all().delete()
    assert "Its events went with another delivery." in words(page(vendor, row))


def test_it_is_looked_at_again_until_it_has_ended(vendor: Client, hook: Webhook) -> None:
    row = delivery(hook, state="waiting")
    attempt(row, "failure")
    shown = vendor.get(f"/deliveries/{row.pk}/").context["shown"]
    assert "hx-get" in page(vendor, row)

    def look() -> Any:
        return vendor.get(f"/deliveries/{row.pk}/{shown.again}", headers=HTMX)

    assert (look().status_code, look().content) == (204, b"")
    attempt(row)
    Delivery.objects.filter(pk=row.pk).update(state="delivered")
    piece = look().content.decode()
    assert piece.lstrip().startswith('<div id="delivery"') and "<html" not in piece
    # What is being read stays, and the list of attempts has the new one.
    assert 'href="?attempt=1" aria-current="true"' in piece and 'id="attempt2"' in piece
    assert "every 2s" not in piece


def test_statements_are_bounded(
    vendor: Client, hook: Webhook, django_assert_max_num_queries: Any
) -> None:
    row = delivery(hook, "PR-1111-1111-1111-001", state="waiting")
    for _ in range(120):
        attempt(row, "failure")
    for _ in range(150):
        Event.objects.create(webhook=hook, delivery=row, at=make.AT)
    with django_assert_max_num_queries(18) as asked:
        found = page(vendor, row)
    assert "The latest 40 of 120." in found
    assert found.count('class="attempt-link') == 41 and 'id="attempt120"' in found
    assert sum("response_body" in query["sql"] for query in asked) == 2
