"""Checks of payloads: a genuine request is processed, whatever its body looks like."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from checks import experiments
from checks.experiments import CONTROL_TEXTS, control
from checks.handler_requests import Body, SentRequest
from checks.lab import Lab
from checks.model import Check, Level, Verdict
from webhooks.delivery.request import encode_payload, format_timestamp

_CHUNK = 50  # bytes
_LARGE = 1024 * 1024  # bytes
_DEPTH = 30

_TEXTS = 'Grüße · 日本語 · עברית · e\N{COMBINING ACUTE ACCENT} · \N{PARTY POPPER} · "quoted" · </a>'


def _post(lab: Lab, body: Body, *headers: tuple[str, str]) -> SentRequest:
    """Return a genuine POST with another body."""
    return lab.genuine(method="POST", body=body, headers=headers)


def _payload(lab: Lab) -> bytes:
    return encode_payload(lab.signer.payload())


def unicode(lab: Lab) -> Verdict:
    """Send texts in several scripts as the webhook's name and in `data`."""
    text = f"{lab.word()} {_TEXTS}"
    changes = {"webhook_name": text, "data": {"ключ": text}}
    sent = lab.genuine(method="POST", changes=changes)
    return experiments.accepts(lab, (sent, "a payload with texts in several scripts"))


def nested_data(lab: Lab) -> Verdict:
    """Send deeply nested `data` with all types that JSON has."""
    data: object = [None, True, 1.5, -(2**53), "", lab.word(), [], {}]
    for depth in range(_DEPTH):
        data = {"level": depth, "below": [data]}
    sent = lab.genuine(method="POST", changes={"data": data})
    return experiments.accepts(lab, (sent, "a payload with nested data"))


def empty_data(lab: Lab) -> Verdict:
    """Send empty `data`."""
    sent = lab.genuine(method="POST", changes={"data": {}})
    return experiments.accepts(lab, (sent, "a payload with empty data"))


def unknown_keys(lab: Lab) -> Verdict:
    """Send a payload with keys that Connect doesn't have today."""
    known = {"event": {"id": "EV-1", "objects": []}, "environment": "production", "Data": None}
    changes = {**known, lab.word(): lab.word()}
    sent = lab.genuine(method="POST", changes=changes)
    return experiments.accepts(lab, (sent, "a payload with further keys"))


def null_dates(lab: Lab) -> Verdict:
    """Send a payload whose last success and failure are null, and one where they are dates."""
    hour = timedelta(hours=1)
    names = ("last_success_at", "last_failure_at")
    dates = {name: format_timestamp(datetime.now(UTC) - hour) for name in names}
    nulls = dict.fromkeys(names)
    return experiments.accepts(
        lab,
        (lab.genuine(method="POST", changes=nulls), "a payload whose dates are null"),
        (lab.genuine(method="POST", changes=dates), "a payload whose dates are set"),
    )


def chunked(lab: Lab) -> Verdict:
    """Send the body in chunks, without its length."""
    sent = _post(lab, _chunks(_payload(lab)))
    return experiments.accepts(lab, (sent, "a request with a chunked body"))


def _chunks(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), _CHUNK):
        yield body[start : start + _CHUNK]


def large_body(lab: Lab) -> Verdict:
    """Send a body of 1 MiB."""
    body = encode_payload({**lab.signer.payload(), "data": {"text": "x" * _LARGE}})
    return experiments.accepts(lab, (_post(lab, body), "a request with a body of 1 MiB"))


def wrong_content_type(lab: Lab) -> Verdict:
    """Send a body with another content type than JSON, and without one."""
    types = ("text/plain", "application/x-www-form-urlencoded", "")
    return experiments.accepts(
        lab,
        *(
            (_post(lab, _payload(lab), ("Content-Type", value)), f'the content type "{value}"')
            for value in types
        ),
    )


def broken_json(lab: Lab) -> Verdict:
    """Send bodies that are not JSON, or not an object."""
    payload = _payload(lab)
    bodies = (
        (payload[: len(payload) // 2], "half a body"),
        (b"[]", "a body that is a list"),
        (b"\xff\xfe{}", "a body that is not UTF-8"),
    )
    return experiments.accepts_or_refuses(lab, *((_post(lab, body), what) for body, what in bodies))


def empty_body(lab: Lab) -> Verdict:
    """Send a POST with a body of no bytes."""
    return experiments.accepts_or_refuses(lab, (_post(lab, b""), "a POST with an empty body"))


_PROCESSED = "A status of 2xx, and the order is approved once."
_PROCESSED_OR_REFUSED = (
    "Either a status of 2xx, and the order becomes approved; or a status of 4xx without an effect, "
    "and the next genuine request is processed. No 5xx, no silence, and no closed connection."
)
_FROM_THE_TOKEN = "Take what you need from the verified token, which has the same keys as the body."

CHECKS = (
    Check(
        "payload.control",
        Level.MUST,
        "A genuine request by Connect is processed",
        *CONTROL_TEXTS,
        control,
        is_control=True,
    ),
    Check(
        "payload.unicode",
        Level.MUST,
        "Texts in any script are accepted",
        "A genuine request whose `webhook_name` and `data` have letters of several scripts, an "
        "emoji, a combining accent, quotes and HTML, in the body as UTF-8, while an order is "
        "pending.",
        _PROCESSED,
        "Names and data are typed in by people. A handler that decodes bytes as ASCII or Latin-1, "
        "or that prints them in such an encoding, stops there.",
        "Decode the body and write logs as UTF-8.",
        unicode,
    ),
    Check(
        "payload.nested_data",
        Level.MUST,
        "Nested data is accepted",
        f"A genuine request whose `data` has {_DEPTH} levels and values of each type of JSON, "
        "while an order is pending.",
        _PROCESSED,
        "`data` is any JSON object that somebody has entered with the webhook.",
        "Don't map `data` to a fixed class. Read the keys that you need, and check their types.",
        nested_data,
    ),
    Check(
        "payload.empty_data",
        Level.MUST,
        "Empty data is accepted",
        "A genuine request whose `data` is `{}`, while an order is pending.",
        _PROCESSED,
        "A webhook without additional data sends an empty object. That is the default.",
        'Read keys of `data` with a default, for example `data.get("tenant")` in Python.',
        empty_data,
    ),
    Check(
        "payload.unknown_keys",
        Level.MUST,
        "A payload with further keys is accepted",
        "A genuine request whose body and token have three keys more than Connect sends today, "
        "while an order is pending.",
        _PROCESSED,
        "Connect adds keys without notice. A strict schema refuses each request from that day on.",
        "Let your parser ignore unknown keys.",
        unknown_keys,
    ),
    Check(
        "payload.null_dates",
        Level.MUST,
        "Dates may be null",
        "A genuine request whose `last_success_at` and `last_failure_at` are null, and one where "
        "both are dates, each while an order is pending.",
        _PROCESSED,
        "They are null until the first success and the first failure: exactly when a webhook is "
        "new.",
        "Parse the dates only if they are not null, or ignore them.",
        null_dates,
    ),
    Check(
        "payload.chunked",
        Level.MUST,
        "A chunked body is accepted",
        "A genuine request with `Transfer-Encoding: chunked` and no `Content-Length`, while an "
        "order is pending.",
        _PROCESSED,
        "Proxies may send a body on in chunks. Servers that only look at Content-Length then see "
        "none.",
        "Use a web server that supports HTTP/1.1 fully, and let your framework read the body. "
        + _FROM_THE_TOKEN,
        chunked,
    ),
    Check(
        "payload.large_body",
        Level.MUST,
        "A body of 1 MiB is accepted",
        "A genuine request with 1 MiB of text in the body's `data`, while an order is pending.",
        _PROCESSED,
        "`data` has no documented limit. Frameworks and proxies refuse large bodies by default, "
        "some of them from 100 kB on.",
        "Raise the limit of your framework and of the proxy to some MiB "
        "(`client_max_body_size` in nginx, `limit` of `express.json`).",
        large_body,
    ),
    Check(
        "payload.wrong_content_type",
        Level.SHOULD,
        "The content type doesn't matter",
        "Genuine requests with the content types text/plain and "
        "application/x-www-form-urlencoded, and with an empty one, each while an order is pending.",
        _PROCESSED,
        "Custom headers of a webhook can set any content type. Frameworks that parse by it refuse "
        "the request with 415, or find no body.",
        _FROM_THE_TOKEN + " If you read the body, parse it as JSON whatever its content type is.",
        wrong_content_type,
    ),
    Check(
        "payload.broken_json",
        Level.SHOULD,
        "A broken body does no harm",
        "Genuine tokens with half a body, with a list in place of an object, and with bytes that "
        "are not UTF-8, each while an order is pending.",
        _PROCESSED_OR_REFUSED,
        "The token is genuine, so there is work to do. An error that is not caught ends in 500, "
        "and Connect repeats the request for hours.",
        _FROM_THE_TOKEN + " If you need the body, catch errors of parsing and respond 400.",
        broken_json,
    ),
    Check(
        "payload.empty_body",
        Level.MUST,
        "A POST with an empty body does no harm",
        "A genuine token by POST with `Content-Length: 0`, while an order is pending.",
        _PROCESSED_OR_REFUSED,
        "Some proxies lose bodies. A handler that waits for one, or parses the empty text as JSON, "
        "hangs or fails.",
        _FROM_THE_TOKEN + " If you need the body, respond 400 where it is empty.",
        empty_body,
    ),
)
