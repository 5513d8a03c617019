"""When a webhook may be called again, and why: one pure decision after each call.

Connect says that a failed call is repeated after five minutes at least, that the interval
grows, and that at a certain limit the webhook is out of order; the numbers are settings of ours.
No ORM, no Django.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

# Outcomes of an attempt, and states of a delivery, of which `calling` is decided by a claim.
OUTCOMES = SUCCESS, FAILURE, UNKNOWN = "success", "failure", "unknown"
STATES = WAITING, CALLING, DELIVERED, FAILED, CANCELLED = (
    "waiting", "calling", "delivered", "failed", "cancelled",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Policy:
    """The numbers: seconds, a factor, and rounds."""

    base: float
    factor: float
    cap: float
    limit: int

    def delay(self, round_: int) -> timedelta:
        """Return how long the gate stays closed in a round of backoff (from 1)."""
        try:
            seconds = min(self.cap, self.base * self.factor ** (round_ - 1))
        except OverflowError:
            seconds = self.cap
        return timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a webhook stands: its gate (None when healthy), and the round of backoff."""

    gate: datetime | None = None
    gate_closed_at: datetime | None = None
    round: int = 0
    out_of_order: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """What there is to judge: the outcome of one call, and what it was."""

    outcome: str
    started_at: datetime
    forced: bool = False
    # Validators are tried once.
    repeatable: bool = True
    active: bool = True
    # The webhook was edited while the call was under way: it says nothing of the new settings.
    outdated: bool = False
    # Sent again otherwise than the webhook says: it says nothing of the webhook.
    altered: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of the delivery, how the webhook stands now, and why, in words."""

    state: str
    standing: Standing
    why: str


def decide(call: Call, standing: Standing, now: datetime, policy: Policy) -> Decision:
    """Return what follows from the call."""
    if not call.active:
        return Decision(CANCELLED, standing, "The webhook is disabled: not tried again.")
    if call.altered:
        return _after_altered(call, standing)
    if call.outcome == SUCCESS:
        return _after_success(call, standing)
    if not call.repeatable:
        return Decision(
            FAILED,
            standing,
            "A validator is called once: not tried again. Whoever asked can go on without.",
        )
    if call.outcome == UNKNOWN:
        return Decision(
            WAITING,
            standing,
            "The sandbox stopped during the call, so its answer is unknown: it is made again, "
            "and the handler may get it twice.",
        )
    return _after_failure(call, standing, now, policy)


def _after_altered(call: Call, standing: Standing) -> Decision:
    if call.outcome == SUCCESS:
        why = (
            "Delivered. It was sent otherwise than the webhook is set now, so the webhook's "
            "standing stays."
        )
        return Decision(DELIVERED, standing, why)
    why = (
        "Sent otherwise than the webhook is set now, for one call only: not tried again, and the "
        "webhook's standing stays."
    )
    return Decision(FAILED, standing, why)


def _after_success(call: Call, standing: Standing) -> Decision:
    if call.outdated:
        why = "Delivered. The webhook was edited meanwhile, so its standing stays."
        return Decision(DELIVERED, standing, why)
    if standing.out_of_order:
        why = "Delivered. The webhook is in order again, and what waited goes."
    elif standing.gate is not None:
        why = "Delivered. The gate opens, and what waited behind it goes."
    else:
        why = "Delivered."
    return Decision(DELIVERED, replace(standing, gate=None, round=0, out_of_order=False), why)


def _after_failure(call: Call, standing: Standing, now: datetime, policy: Policy) -> Decision:
    if call.outdated:
        why = "The webhook was edited during the call: it is tried again with the new settings."
        return Decision(WAITING, standing, why)
    if standing.out_of_order:
        why = "The webhook is out of order: this waits until it is recovered."
        return Decision(WAITING, standing, why)
    if standing.gate is not None and call.forced:
        why = f"Trigger now doesn't move the gate: tried again with the others, {_at(standing)}."
        return Decision(WAITING, standing, why)
    if standing.gate is not None and not _is_after(call.started_at, standing.gate_closed_at):
        why = (
            f"The call was under way when the gate closed, so it opens no new round: "
            f"tried again {_at(standing)}."
        )
        return Decision(WAITING, standing, why)
    return _next_round(standing, now, policy)


def _next_round(standing: Standing, now: datetime, policy: Policy) -> Decision:
    round_ = standing.round + 1
    if round_ >= policy.limit:
        after = Standing(None, now, round_, out_of_order=True)
        why = (
            f"Failure in round {round_} of {policy.limit}: the webhook is out of order and is not "
            f"called any more. Save it, or recover it, to go on; nothing that waits is lost."
        )
        return Decision(WAITING, after, why)
    delay = policy.delay(round_)
    gate = _ceil(now + delay)
    after = Standing(gate, now, round_)
    why = (
        f"Failure: round {round_} of {policy.limit}. Waits {_words(delay)} "
        f"({_sum(policy, round_)}), so tried again {_at(after)}."
    )
    return Decision(WAITING, after, why)


def _is_after(started_at: datetime, closed_at: datetime | None) -> bool:
    return closed_at is None or started_at > closed_at


def _ceil(moment: datetime) -> datetime:
    # Connect's dates have whole seconds; rounding up keeps "not less than 5 minutes" true.
    whole = moment.replace(microsecond=0)
    return whole if whole == moment else whole + timedelta(seconds=1)


def _at(standing: Standing) -> str:
    return f"at {standing.gate:%Y-%m-%d %H:%M:%S} UTC" if standing.gate else "now"


def _sum(policy: Policy, round_: int) -> str:
    if policy.delay(round_) == timedelta(seconds=policy.cap):
        return "the longest wait"
    return f"{policy.base:g} s × {policy.factor:g}^{round_ - 1}"


def _words(delay: timedelta) -> str:
    seconds = delay.total_seconds()
    if seconds >= 3600 and seconds % 3600 == 0:
        return f"{seconds / 3600:g} h"
    if seconds >= 60 and seconds % 60 == 0:
        return f"{seconds / 60:g} min"
    return f"{seconds:g} s"
