"""What was sent is sent again: a delivery of its own, whose first call repeats an older one's.

A trigger and a response are counted, but no event: nothing changed in a queue. The call is signed
afresh, with `triggered_at` = now. Sent as the webhook is set, it is a Trigger now in all that
follows, and a retry of it is a call like any other; sent otherwise (by hand, or because the
webhook was edited since) it is one call that says nothing of the webhook.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import transaction

from requests_queue import clock
from requests_queue.errors import FieldError, Invalid, Missing, Refused
from webhooks import validation_rules
from webhooks.delivery import payload, tokens, wakeup
from webhooks.delivery.calls import USER_AGENT, Again, Claimed
from webhooks.delivery.fan_out import insert_deliveries
from webhooks.models import Attempt, Delivery, Resend, Webhook

# A token that expired before it was sent is worth a try, one of another century isn't.
MAX_TIMEOUT = 366 * 24 * 3600
# What a call has by itself.
_BY_ITSELF = {"content-type": "application/json", "user-agent": USER_AGENT}
_SIGNER = {name.lower() for name in tokens.HEADERS["both"]}


@dataclass(frozen=True, slots=True)
class Sent:
    """What an attempt sent, less what each call says anew.

    `payload` is what the token says; `body` is what was sent in its place, else empty.
    """

    url: str
    method: str
    headers: dict[str, str] = field(repr=False)
    payload: dict[str, Any]
    body: str

    @property
    def content(self) -> Any:
        """Return what the handler reads: the payload, or the object that a validator is sent."""
        return json.loads(self.body) if self.body else self.payload

    def changed(self, changes: Mapping[str, Any]) -> Sent:
        """Return it with other `external_url`, `http_method`, `headers` or `content`."""
        content = changes.get("content", self.content)
        found = replace(
            self,
            url=changes.get("external_url", self.url),
            method=changes.get("http_method", self.method),
            headers=dict(changes.get("headers", self.headers)),
        )
        # To Python 1 is true, and the order of keys nothing.
        if json.dumps(content) != json.dumps(self.content):
            found = found._saying(content)
        if found.method == "GET" and not found.body:
            # A GET carries no body, so it has no additional data either.
            found = replace(found, payload={**found.payload, "data": {}})
        return found

    def _saying(self, content: dict[str, Any]) -> Sent:
        if self.body:
            return replace(self, body=json.dumps(content, ensure_ascii=False))
        timeout = self.payload["processing_timeout"]
        told = {**content, "processing_timeout": content.get("processing_timeout", timeout)}
        # The token's own: made anew from the two.
        told.pop("exp", None)
        return replace(self, payload=told)


def sent(attempt: Attempt) -> Sent:
    """Return what the attempt sent; raises Refused where nobody knows."""
    told = payload.ordered(attempt.claims)
    told.pop("exp", None)
    if not told:
        raise Refused(
            "WH_002",
            f"What attempt {attempt.number} sent was not recorded: the call never went out, or "
            "the sandbox stopped during it. Use Trigger now instead.",
        )
    headers = {
        name: value
        for name, value in attempt.request_headers.items()
        if name.lower() not in _SIGNER and _BY_ITSELF.get(name.lower()) != value
    }
    body = attempt.request_body
    if body and json.loads(body) == told:
        told, body = json.loads(body), ""
    return Sent(attempt.url, attempt.method, headers, told, body)


@transaction.atomic
def send(attempt: Attempt, changes: Mapping[str, Any] | None = None) -> Delivery:
    """Send again what the attempt sent, at once; `changes` (see Sent.changed) are for that call.

    Raises Refused for a disabled webhook and where what was sent is unknown, Invalid for changes
    that a webhook couldn't have, Missing where webhook or delivery have gone meanwhile.
    """
    before = sent(attempt)
    found = before
    if changes is not None:
        found = before.changed(check(changes, attempt.webhook.type, before.url))
    # Locked in the order of the delivery path: the older delivery, the new one, the webhook.
    repeated = Delivery.objects.select_for_update().filter(pk=attempt.delivery_id).first()
    inserted = insert_deliveries([attempt.webhook_id], clock.now(), forced=True)
    if repeated is None or not inserted:
        raise Missing(str(attempt.delivery_id))
    [(delivery_id, _)] = inserted
    alike = changes is None and not is_altered(attempt)
    Resend.objects.create(
        delivery_id=delivery_id, repeats=repeated, number=attempt.number, changed=found != before,
        revision=attempt.revision if alike else None,
        url=found.url, method=found.method, headers=found.headers,
        payload=json.dumps(found.payload, ensure_ascii=False), body=found.body,
    )  # fmt: skip
    webhooks = Webhook.objects.select_for_update().filter(pk=attempt.webhook_id)
    active = webhooks.values_list("active", flat=True).first()
    # The exceptions take the rows back.
    if active is None:
        raise Missing(attempt.webhook_id)
    if not active:
        raise Refused("WH_001", f"{attempt.webhook_id} is disabled: enable it to send again.")
    wakeup.after_commit()
    return Delivery.objects.get(pk=delivery_id)


def check(changes: Mapping[str, Any], type_: str, url: str = "") -> dict[str, Any]:
    """Return the changes as they will be sent; raises Invalid with all that is wrong at once.

    They obey the rules of a webhook's fields; `content` is called so in the sentences. `url` is
    the one that was called before.
    """
    body = {k: v for k, v in changes.items() if k != "content"}
    wrong: list[FieldError] = []
    found: dict[str, Any] = {}
    try:
        found = validation_rules.for_update(body, type_, url)
    except Invalid as refused:
        wrong += refused.errors
    if "content" in changes:
        found["content"] = changes["content"]
        wrong += _wrong(changes["content"], type_)
    if wrong:
        raise Invalid.of(wrong)
    return found


def _wrong(content: Any, type_: str) -> list[FieldError]:
    try:
        validation_rules.for_update({"data": content}, type_)
    except Invalid as refused:
        return [replace(error, path="content") for error in refused.errors]
    seconds = content.get("processing_timeout", 0)
    if isinstance(seconds, bool) or not isinstance(seconds, int) or abs(seconds) > MAX_TIMEOUT:
        message = (
            "processing_timeout must be a whole number of seconds, a year at most: the token "
            "expires by it. A negative one makes a token that has expired already."
        )
        return [FieldError("content", message)]
    return []


def is_altered(attempt: Attempt) -> bool:
    """Whether the attempt itself was sent otherwise than the webhook was set."""
    if attempt.number > 1:
        return False
    row = Resend.objects.filter(pk=attempt.delivery_id).only("revision").first()
    return row is not None and row.revision != attempt.revision


def apply(claimed: Iterable[Claimed]) -> list[Claimed]:
    """Return the calls, with what is sent again in those that are the first of a Resend.

    One statement where any of them may be one, none for the calls of queue changes.
    """
    found = list(claimed)
    first = [c.delivery_id for c in found if c.forced and c.number == 1]
    rows = {row.pk: row for row in Resend.objects.filter(pk__in=first)} if first else {}
    return [
        put(call, _of(row), altered=row.revision != call.webhook["revision"])
        if (row := rows.get(call.delivery_id))
        else call
        for call in found
    ]


def put(claimed: Claimed, what: Sent, *, altered: bool = False) -> Claimed:
    """Return the call with what is sent again in it."""
    own = {"external_url": what.url, "http_method": what.method, "headers": what.headers}
    again = Again(what.payload, what.body, altered)
    return replace(claimed, webhook={**claimed.webhook, **own}, again=again)


def _of(row: Resend) -> Sent:
    return Sent(row.url, row.method, row.headers, json.loads(row.payload), row.body)
