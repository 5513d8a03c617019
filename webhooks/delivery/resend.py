"""Send a recorded request again: a new delivery, whose first attempt repeats an older one.

The attempt is counted, but no event: nothing changed in a queue. The request is signed anew, with
the current time as `triggered_at`. If it equals what the webhook's current settings send, its
result counts like that of a Trigger now. If it is altered (by the user, or because the webhook was
edited since), it is not retried and does not change the backoff.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence

from django.db import transaction

from requests_queue import clock
from requests_queue.catalog import audit
from requests_queue.errors import Missing, Refused
from requests_queue.redaction import MASK
from webhooks import announcements
from webhooks.delivery import wakeup
from webhooks.delivery.attempt import USER_AGENT
from webhooks.delivery.fan_out import insert_deliveries
from webhooks.delivery.request import TOKEN_HEADERS, ResendOverride, order_claims
from webhooks.models import Attempt, Delivery, Resend, Webhook
from webhooks.tracing import TRACE

# Headers that each request gets by default.
_DEFAULT_HEADERS = {"content-type": "application/json", "user-agent": USER_AGENT}
# Made anew for each request: the token, and the trace context of that request alone.
_OWN_HEADERS = {*(name.lower() for name in TOKEN_HEADERS["both"]), TRACE}


def sent_request(attempt: Attempt) -> ResendOverride:
    """Return what the attempt sent, without what each request gets anew.

    Raises Refused where that was not recorded, or not completely.
    """
    payload = order_claims(attempt.claims)
    payload.pop("exp", None)
    if not payload:
        raise Refused(
            "WH_002",
            f"What attempt {attempt.number} sent was not recorded: the call never went out, or "
            "the sandbox stopped during it. Use Trigger now instead.",
        )
    headers = {
        name: value
        for name, value in attempt.request_headers.items()
        if name.lower() not in _OWN_HEADERS and _DEFAULT_HEADERS.get(name.lower()) != value
    }
    body = attempt.request_body
    if attempt.redacted and MASK in f"{attempt.url}{body}{json.dumps(payload, ensure_ascii=False)}":
        raise Refused(
            "WH_002",
            f"What attempt {attempt.number} sent had a secret in its URL or body, which is not "
            "stored. Use Trigger now instead.",
        )
    if body and json.loads(body) == payload:
        payload, body = json.loads(body), ""
    resent = Resend.objects.filter(pk=attempt.delivery_id) if attempt.number == 1 else ()
    preset = next((row.preset for row in resent), "")
    return ResendOverride(attempt.url, attempt.method, headers, payload, body, preset=preset)


@transaction.atomic
def create_resend(
    attempt: Attempt, changed: ResendOverride | None = None, names: Collection[str] = ()
) -> Delivery:
    """Send what the attempt sent again, immediately, or `changed` with its changed fields.

    Raises Refused for a disabled webhook and where what was sent was not recorded, Missing where
    webhook or delivery were deleted.
    """
    before = sent_request(attempt)
    sent = changed or before
    # Lock order of the delivery path: the older delivery, the new one, the webhook.
    repeated = Delivery.objects.select_for_update().filter(pk=attempt.delivery_id).first()
    inserted = insert_deliveries([attempt.webhook_id], clock.now(), forced=True)
    if repeated is None or not inserted:
        raise Missing(str(attempt.delivery_id))
    [(delivery_id, _)] = inserted
    unchanged = changed is None and not is_altered(attempt)
    _row(attempt, delivery_id, sent, changed=sent != before, unchanged=unchanged).save(
        force_insert=True
    )
    webhooks = Webhook.objects.select_for_update().filter(pk=attempt.webhook_id)
    active = webhooks.values_list("active", flat=True).first()
    # The exceptions roll the rows back.
    if active is None:
        raise Missing(attempt.webhook_id)
    if not active:
        raise Refused("WH_001", f"{attempt.webhook_id} is disabled: enable it to send again.")
    audit.record(
        audit.Action.DELIVERY_RESEND,
        "delivery",
        attempt.delivery_id,
        account=attempt.webhook.account_id,
        fields=names,
    )
    announcements.announce(attempt.webhook.account_id, attempt.webhook_id, delivery_id)
    wakeup.after_action()
    return Delivery.objects.get(pk=delivery_id)


@transaction.atomic
def create_resends(attempts: Sequence[Attempt]) -> tuple[list[int], list[str]]:
    """Send what each attempt sent again, as `create_resend` does; one attempt a delivery at most.

    Return the ids of the new deliveries, and why each of the others is not sent again.
    """
    # Lock order of the delivery path: the older deliveries, the new ones, the webhooks, each by id.
    rows = Delivery.objects.filter(pk__in=[attempt.delivery_id for attempt in attempts])
    existing = set(rows.select_for_update().order_by("pk").values_list("pk", flat=True))
    altered_ids = _altered_deliveries(attempts)
    refusals: list[str] = []
    resends: dict[int, tuple[str, Resend]] = {}
    now = clock.now()
    for attempt in attempts:
        try:
            sent = sent_request(attempt)
        except Refused as refusal:
            refusals.append(str(refusal))
            continue
        exists = attempt.delivery_id in existing
        inserted = insert_deliveries([attempt.webhook_id], now, forced=True) if exists else []
        if not inserted:
            refusals.append(f"Delivery {attempt.delivery_id} was deleted.")
            continue
        [(pk, _)] = inserted
        row = _row(attempt, pk, sent, unchanged=attempt.delivery_id not in altered_ids)
        resends[pk] = attempt.webhook_id, row
    Resend.objects.bulk_create([row for _, row in resends.values()])
    webhooks = Webhook.objects.filter(pk__in={pk for pk, _ in resends.values()}).order_by("pk")
    active = dict(webhooks.select_for_update().values_list("pk", "active"))
    inactive = [pk for pk, (webhook_id, _) in resends.items() if not active.get(webhook_id)]
    refusals += [f"{resends[pk][0]} is disabled: enable it to send again." for pk in inactive]
    Delivery.objects.filter(pk__in=inactive).delete()
    wakeup.after_action()
    return [pk for pk in resends if pk not in inactive], refusals


def _row(
    attempt: Attempt,
    delivery_id: int,
    sent: ResendOverride,
    *,
    unchanged: bool,
    changed: bool = False,
) -> Resend:
    return Resend(
        delivery_id=delivery_id,
        repeats_id=attempt.delivery_id,
        number=attempt.number,
        changed=changed,
        revision=attempt.revision if unchanged else None,
        url=sent.url,
        method=sent.method,
        headers=sent.headers,
        payload=json.dumps(sent.payload, ensure_ascii=False),
        body=sent.body,
        preset=sent.preset,
    )


def is_altered(attempt: Attempt) -> bool:
    """Whether the attempt was sent differently from the webhook's settings at that time."""
    return bool(_altered_deliveries([attempt]))


def _altered_deliveries(attempts: Sequence[Attempt]) -> set[int]:
    """Return the deliveries of the attempts that were sent differently from the settings."""
    first = {attempt.delivery_id: attempt for attempt in attempts if attempt.number == 1}
    if not first:
        return set()
    rows = Resend.objects.filter(pk__in=first).values_list("pk", "revision")
    return {pk for pk, revision in rows if revision != first[pk].revision}
