"""Send many deliveries again in steps, in the background.

A step and the progress that it makes are one transaction: if the process ends in between, nothing
of the step is sent, and the next run of any process continues there. None is sent twice, and none
is left out. Each step waits until the handlers have responded to the one before, so that
cancelling is possible and handlers are not flooded.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.db import Error as DatabaseError
from django.db import transaction
from django.db.models import F, QuerySet

from portal.deliveries import queries
from portal.deliveries.search import Term
from portal.identity import Viewer
from portal.models import BulkResend
from requests_queue import clock, task_messages
from requests_queue.catalog import audit
from requests_queue.catalog.models import Account
from requests_queue.db import background_work
from webhooks import actions
from webhooks.delivery import resend
from webhooks.models import Attempt, Delivery, Resend, Webhook

logger = logging.getLogger(__name__)

TASK = "portal.tasks.resend_deliveries"
LIMIT = 10_000  # deliveries of one job
STEP = 25
SECONDS = 4.0  # of one run; the scheduler starts one every five
_PAUSE = 0.05  # while handlers respond
_running = threading.Lock()


def matching(account: Account, terms: Sequence[Term], webhook: str = "") -> list[int]:
    """Return the newest LIMIT deliveries that match and were sent, the oldest first."""
    rows = queries.deliveries(account, terms, webhook).filter(attempts__gt=0).order_by("-pk")
    return list(rows.values_list("pk", flat=True)[:LIMIT])[::-1]


def chosen(account: Account, ids: Sequence[int]) -> list[int]:
    """Return those of the deliveries that the account may see, the oldest first."""
    rows = queries.visible(account).filter(pk__in=ids).order_by("pk")
    return list(rows.values_list("pk", flat=True))


def create(viewer: Viewer, key: uuid.UUID, ids: Sequence[int], page: str) -> BulkResend:
    """Create a job that waits for `start`; the one with that key if there is one already."""
    asked = BulkResend.objects.filter(account=viewer.account, state=BulkResend.ASKED)
    asked.exclude(key=key).delete()
    job, _ = BulkResend.objects.get_or_create(
        account=viewer.account,
        key=key,
        defaults={
            "user": viewer.user,
            "created_at": clock.now(),
            "page": page,
            "deliveries": list(ids),
            "total": len(ids),
        },
    )
    return job


@transaction.atomic
def start_undelivered(
    viewer: Viewer, key: uuid.UUID, newest: QuerySet[Any, int], page: str
) -> tuple[BulkResend | None, bool]:
    """Start a job for the LIMIT newest of the deliveries that nobody sends again; None without any.

    Also return whether there are more. If a job with that key exists, it is returned.
    """
    remaining = _remaining()
    read = newest[: LIMIT + 1 + len(remaining)]
    ids = [pk for pk in read if pk not in remaining]
    # This function in another request, and the steps of running jobs, wait for these locks.
    rows = Delivery.objects.filter(pk__in=ids[:LIMIT]).order_by("pk").select_for_update()
    locked = list(rows.values_list("pk", flat=True))
    job = BulkResend.objects.filter(account=viewer.account, key=key).first()
    if job is None:
        resends = Resend.objects.filter(repeats__in=locked).values_list("repeats", flat=True)
        others = referenced(locked).union(resends)
        if left := [pk for pk in locked if pk not in others]:
            job = create(viewer, key, left, page)
            start(job)
    return job, len(ids) > LIMIT


@transaction.atomic
def trigger(viewer: Viewer, webhooks: Iterable[str]) -> int:
    """Trigger the enabled ones of the webhooks that no request is due to at once; return how many.

    Their pending deliveries are sent once that request succeeds.
    """
    enabled = Webhook.objects.filter(pk__in=webhooks, active=True).order_by("pk")
    # This function in another request waits for these locks, and finds what is due then.
    rows = list(enabled.select_for_update())
    forced = Delivery.objects.filter(
        webhook__in=rows, forced=True, state__in=(Delivery.WAITING, Delivery.CALLING)
    )
    due = set(forced.values_list("webhook", flat=True))
    for row in rows:
        if row.pk not in due:
            actions.trigger(row, viewer.user)
    return len(rows) - len(due)


@transaction.atomic
def start(job: BulkResend) -> None:
    """Start a job, unless it was started before."""
    rows = BulkResend.objects.filter(pk=job.pk, state=BulkResend.ASKED)
    if rows.update(state=BulkResend.RUNNING):
        audit.record(
            audit.Action.DELIVERY_BULK_RESEND, "bulk resend", job.pk, account=job.account_id
        )
        transaction.on_commit(_notify_worker, robust=True)


def _notify_worker() -> None:
    try:
        task_messages.send(TASK)
    except task_messages.unavailable() as error:
        logger.warning(
            "The broker is unavailable (%s): the scheduler starts %s.", type(error).__name__, TASK
        )


def cancel(job: BulkResend) -> None:
    """Send no more of a job; what is in flight is not stopped."""
    rows = BulkResend.objects.filter(pk=job.pk, state=BulkResend.RUNNING)
    rows.update(state=BulkResend.CANCELLED, deliveries=[])


def latest(account: Account, sent: str) -> BulkResend | None:
    """Return the account's job that a query names, else the latest that is running."""
    own = BulkResend.objects.filter(account=account).defer("deliveries").order_by("-pk")
    if sent.isascii() and sent.isdigit() and len(sent) < 19:
        return own.filter(pk=int(sent)).exclude(state=BulkResend.ASKED).first()
    return own.filter(state=BulkResend.RUNNING).first()


def referenced(ids: Sequence[int]) -> set[int]:
    """Return those of the deliveries that a running job is still to send again."""
    return _remaining().intersection(ids)


def _remaining() -> set[int]:
    """Return the deliveries that running jobs are still to send again."""
    jobs = BulkResend.objects.filter(state=BulkResend.RUNNING).values_list("deliveries", "position")
    return {pk for deliveries, position in jobs for pk in deliveries[position:]}


def run(seconds: float = SECONDS, *, pause: Callable[[float], Any] = time.sleep) -> None:
    """Continue the jobs for some seconds; one run at a time in a process."""
    if not _running.acquire(blocking=False):
        return
    try:
        end = time.monotonic() + seconds
        generation = background_work.generation()
        rows = BulkResend.objects.filter(state=BulkResend.RUNNING).order_by("pk")
        while jobs := list(rows.values_list("pk", flat=True)):
            with background_work.running(generation):
                progress = [step(pk) for pk in jobs]
            if time.monotonic() >= end:
                return
            if not any(progress):
                pause(_PAUSE)
    except background_work.Replaced:
        return
    except DatabaseError as error:
        logger.warning(
            "Deliveries could not be sent again (%s); trying again later.", type(error).__name__
        )
    finally:
        _running.release()


@transaction.atomic
def step(pk: int) -> bool:
    """Send the next deliveries of a job; return False if it has to wait or has ended."""
    rows = BulkResend.objects.filter(pk=pk, state=BulkResend.RUNNING)
    # A job that another process works on is skipped.
    job = rows.select_for_update(skip_locked=True).select_related(None).first()
    if job is None or _is_in_flight(job.latest):
        return False
    ids = job.deliveries[job.position : job.position + STEP]
    attempts = (
        Attempt.objects.filter(
            delivery__in=ids,
            number=F("delivery__attempts"),
            webhook__account=job.account_id,
            webhook__deleted_at=None,
        )
        .select_related("webhook")
        .defer("response_body", "response_headers")
    )
    created, refused = resend.create_resends(list(attempts.order_by("delivery_id")))
    job.position += len(ids)
    job.sent += len(created)
    job.latest = created
    if refused:
        job.refused = refused[-1]
    changed = ["position", "sent", "latest", "refused"]
    if job.position >= job.total:
        job.state, job.deliveries = BulkResend.FINISHED, []
        changed += ["state", "deliveries"]
    job.save(update_fields=changed)
    return True


def _is_in_flight(ids: Sequence[int]) -> bool:
    """Whether a first attempt of the deliveries is not finished."""
    pending = (Delivery.WAITING, Delivery.CALLING)
    return Delivery.objects.filter(pk__in=ids, attempts=0, state__in=pending).exists()
