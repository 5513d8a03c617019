"""The retry decision: whether an attempt is repeated, when, and why. No ORM, no Django.

Connect repeats a failed request after at least five minutes, in growing intervals, and marks a
webhook as out of order after a number of failures; the numbers are settings.

Two rules make the displayed times reliable. Every failure moves the end of the backoff to at
least the base delay after itself, so a failed delivery is never repeated sooner. And a success of
a request that was already in flight when the backoff began doesn't end it.

A lost worker says nothing about the handler, so the backoff stays as it is. A delivery that loses
its workers in a row waits alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from webhooks.states import (
    CANCELLED,
    DELIVERED,
    FAILED,
    SUCCEEDED,
    SUCCESS,
    TRIGGERED,
    UNKNOWN,
    WAITING,
    BackoffState,
    Policy,
)

PAUSED = "Paused: the webhook is out of order."
# One lost worker may be a restart; more in a row may be caused by the request.
LOSSES_TOLERATED = 1


@dataclass(frozen=True, slots=True)
class AttemptSummary:
    """The input of a decision: an attempt."""

    outcome: str
    started_at: datetime
    forced: bool = False
    # False for validators.
    repeatable: bool = True
    active: bool = True
    # The webhook was edited while the request was in flight.
    outdated: bool = False
    # Sent differently from the webhook's settings.
    altered: bool = False
    # `began_at` of the backoff in which it was claimed, if any.
    backoff_began_at: datetime | None = None
    # How many attempts of the delivery in a row have lost their worker, including this one; 0 if
    # the outcome is known, or unknown because of an orderly stop.
    losses: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """The result: the delivery's state, the webhook's backoff, and an explanation for users.

    `next_attempt_at` is when the delivery is repeated at the earliest, None if immediately or
    never. `due_at` is until when the delivery alone waits, whatever the backoff; None: not at all.
    `cleared` is what ended a backoff: TRIGGERED, SUCCEEDED, or empty.
    """

    state: str
    backoff: BackoffState
    why: str
    next_attempt_at: datetime | None = None
    due_at: datetime | None = None
    cleared: str = ""


def decide(
    attempt: AttemptSummary, backoff: BackoffState, now: datetime, policy: Policy
) -> Decision:
    """Return the decision for an attempt that finished `now`."""
    if not attempt.active:
        return Decision(CANCELLED, backoff, "Not repeated: the webhook is disabled.")
    if attempt.altered:
        return _after_altered(attempt, backoff)
    if attempt.outcome == SUCCESS:
        return _after_success(attempt, backoff, now)
    if not attempt.repeatable:
        return Decision(FAILED, backoff, "Not repeated: validators are called once.")
    if attempt.outdated:
        why = (
            "The webhook was edited while the request was in flight. Repeated with its current "
            "settings."
        )
        return _repeat(backoff, now, why)
    if attempt.outcome == UNKNOWN:
        return _after_unknown(attempt, backoff, now, policy)
    return _after_failure(attempt, backoff, now, policy)


def _after_altered(attempt: AttemptSummary, backoff: BackoffState) -> Decision:
    why = "Sent differently from the webhook's settings, so its backoff does not change."
    if attempt.outcome == SUCCESS:
        return Decision(DELIVERED, backoff, f"Delivered. {why}")
    return Decision(FAILED, backoff, f"Not repeated. {why}")


def _after_success(attempt: AttemptSummary, backoff: BackoffState, now: datetime) -> Decision:
    if backoff.until is None and not backoff.out_of_order:
        return Decision(DELIVERED, backoff, "Delivered.")
    if attempt.outdated:
        why = "The webhook was edited while the request was in flight, so its backoff does not end."
        return Decision(DELIVERED, backoff, f"Delivered. {why}")
    if not _ends_backoff(attempt, backoff):
        why = (
            "Already in flight when the webhook went out of order, so it stays out of order."
            if backoff.out_of_order
            else "Already in flight when backoff began, so the backoff does not end."
        )
        return Decision(DELIVERED, backoff, f"Delivered. {why}")
    if backoff.out_of_order:
        why = "Delivered. The webhook has recovered; pending deliveries will be sent."
    elif backoff.until is not None and now < backoff.until:
        why = "Delivered. Backoff cleared; pending deliveries will be sent."
    else:
        why = "Delivered. Backoff ended; pending deliveries will be sent."
    # A recovered webhook has no failure to clear, only one delivery that is sent first.
    is_cleared = backoff.failures > 0 or backoff.out_of_order
    cause = TRIGGERED if attempt.forced else SUCCEEDED
    return Decision(DELIVERED, BackoffState(), why, cleared=cause if is_cleared else "")


def _ends_backoff(attempt: AttemptSummary, backoff: BackoffState) -> bool:
    """Whether the request was started after the backoff, or during it by Trigger now."""
    if attempt.forced:
        return attempt.backoff_began_at == backoff.began_at
    return backoff.until is not None and attempt.started_at >= backoff.until


def _after_unknown(
    attempt: AttemptSummary, backoff: BackoffState, now: datetime, policy: Policy
) -> Decision:
    if attempt.losses <= LOSSES_TOLERATED:
        why = "Outcome unknown. Repeated, so the handler may receive the request twice."
        return _repeat(backoff, now, why)
    due_at = _ceil(now + policy.delay(attempt.losses - LOSSES_TOLERATED))
    why = f"Worker lost {attempt.losses} times in a row, so this delivery waits and others pass it."
    return _repeat(backoff, now, why, due_at)


def _after_failure(
    attempt: AttemptSummary, backoff: BackoffState, now: datetime, policy: Policy
) -> Decision:
    if backoff.out_of_order:
        return Decision(WAITING, backoff, f"Failed. {PAUSED}")
    if _is_counted(attempt, backoff, policy):
        return _next_failure(backoff, now, policy)
    # The failure count stays, but this delivery too is delayed by at least the base delay.
    until = max(backoff.until or now, _ceil(now + policy.delay(1)))
    why = (
        "Failed. Trigger now during the backoff; not counted."
        if attempt.forced and attempt.backoff_began_at == backoff.began_at
        else "Failed. Already in flight when backoff began; not counted again."
    )
    return Decision(WAITING, replace(backoff, until=until), why, until)


def _is_counted(attempt: AttemptSummary, backoff: BackoffState, policy: Policy) -> bool:
    """Whether a failure increases the failure count.

    Requests that are in flight together count as one failure: another one is counted only if it
    started after the backoff. Its start is compared with the original end of the backoff, since
    late failures of other requests move the end.
    """
    if backoff.failures == 0 or backoff.until is None or backoff.began_at is None:
        return True
    if attempt.forced:
        return False
    end = min(backoff.until, backoff.began_at + policy.delay(backoff.failures))
    return attempt.started_at >= end


def _next_failure(backoff: BackoffState, now: datetime, policy: Policy) -> Decision:
    failures = backoff.failures + 1
    message = policy.failed(failures)
    if failures >= policy.limit:
        why = (
            f"{message} The webhook is out of order: no requests are sent until it is recovered or "
            "saved. Pending deliveries are kept."
        )
        return Decision(WAITING, BackoffState(None, now, failures, out_of_order=True), why)
    # A late failure of another request may have moved the end further.
    until = max(backoff.until or now, _ceil(now + policy.delay(failures)))
    return Decision(WAITING, BackoffState(until, now, failures), message, until)


def _repeat(
    backoff: BackoffState, now: datetime, why: str, due_at: datetime | None = None
) -> Decision:
    """Return the decision to repeat a delivery as soon as the backoff and its due date allow."""
    if backoff.out_of_order:
        return Decision(WAITING, backoff, f"{why} {PAUSED}", due_at=due_at)
    moments = [moment for moment in (backoff.until, due_at) if moment is not None and moment > now]
    return Decision(WAITING, backoff, why, max(moments, default=None), due_at)


def _ceil(moment: datetime) -> datetime:
    # Connect's dates have whole seconds; rounding up keeps the delay at least 5 minutes.
    whole = moment.replace(microsecond=0)
    return whole if whole == moment else whole + timedelta(seconds=1)
