"""The retry policy as a pure function: invariants for every policy, backoff and attempt."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.hypothesis_profiles import examples
from webhooks import states
from webhooks.delivery.retry import AttemptSummary, decide
from webhooks.states import BackoffState, Policy

NOW = datetime(2026, 11, 2, 10, 0, 0, tzinfo=UTC)
CONNECT = Policy(base=300, factor=2, cap=6 * 3600, limit=10)
US = timedelta(microseconds=1)

moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))
policies = st.builds(
    Policy,
    base=st.floats(0.5, 1e6),
    factor=st.floats(1, 1e6),
    cap=st.floats(1, 1e7),
    limit=st.integers(1, 5000),
)
healthy = st.just(BackoffState())
backing_off = st.builds(
    BackoffState, until=moments, began_at=moments, failures=st.integers(1, 6000)
)
recovering = st.builds(BackoffState, until=moments, began_at=moments)
out_of_order = st.builds(
    BackoffState, began_at=moments, failures=st.integers(1, 6000), out_of_order=st.just(True)
)
backoffs = healthy | backing_off | recovering | out_of_order
attempts = st.builds(
    AttemptSummary,
    outcome=st.sampled_from([states.SUCCESS, states.FAILURE, states.UNKNOWN]),
    started_at=moments,
    forced=st.booleans(),
    repeatable=st.booleans(),
    active=st.booleans(),
    outdated=st.booleans(),
    altered=st.booleans(),
    backoff_began_at=st.none() | moments,
    losses=st.integers(0, 20),
)


def ceil(moment: datetime) -> datetime:
    return moment + timedelta(microseconds=-moment.microsecond % 1_000_000)


@examples(50)
@given(policies, st.integers(1, 10**6))
def test_delay_is_between_base_and_cap(policy: Policy, failures: int) -> None:
    delay = policy.delay(failures).total_seconds()
    assert delay <= policy.cap + 1e-6
    assert delay >= min(policy.base, policy.cap) - 1e-6


@examples(50)
@given(policies, st.integers(1, 10**6))
def test_delays_grow_until_the_cap(policy: Policy, failures: int) -> None:
    this, following = policy.delay(failures), policy.delay(failures + 1)
    assert this <= following
    if policy.factor >= 2 and following.total_seconds() < policy.cap - 1:
        assert following > this


def test_default_delays_double_from_five_minutes_to_six_hours() -> None:
    minutes = [CONNECT.delay(n).total_seconds() / 60 for n in range(1, 10)]
    assert minutes == [5, 10, 20, 40, 80, 160, 320, 360, 360]


def test_huge_failure_count_does_not_overflow() -> None:
    policy = Policy(base=1e308, factor=1e308, cap=1e9, limit=10)
    assert policy.delay(10**9) == timedelta(seconds=1e9)


@examples(50)
@given(attempts, backoffs, moments, policies)
def test_every_decision_is_consistent(
    attempt: AttemptSummary, backoff: BackoffState, now: datetime, policy: Policy
) -> None:
    decision = decide(attempt, backoff, now, policy)
    after = decision.backoff
    assert decision.state in set(states.STATES) - {states.CALLING}
    assert decision.why and decision.why == decision.why.strip()
    assert (decision.state == states.DELIVERED) <= (attempt.outcome == states.SUCCESS)
    if after.out_of_order:
        assert after.until is None
    if decision.next_attempt_at is not None:
        assert decision.state == states.WAITING
        ends = [at for at in (after.until, decision.due_at) if at is not None]
        assert decision.next_attempt_at == max(ends) > now
    if decision.cleared:
        assert after == BackoffState() and attempt.outcome == states.SUCCESS
        assert decision.cleared == (states.TRIGGERED if attempt.forced else states.SUCCEEDED)
        assert backoff.failures or backoff.out_of_order
    elif backoff.failures:
        # Only a recorded clear ends a backoff earlier or resets the failure count.
        assert after.failures in (backoff.failures, backoff.failures + 1)
        assert after.out_of_order or backoff.until is None or after.until >= backoff.until
        assert after.out_of_order or not backoff.out_of_order


@examples(50)
@given(attempts, backoffs, moments, policies)
def test_failed_delivery_waits_for_base_delay_after_its_failure(
    attempt: AttemptSummary, backoff: BackoffState, now: datetime, policy: Policy
) -> None:
    """True for any request that failed first, and any later failure."""
    attempt = replace(
        attempt, outcome=states.FAILURE, active=True, repeatable=True, altered=False, outdated=False
    )
    decision = decide(attempt, backoff, now, policy)
    assert decision.state == states.WAITING
    if not decision.backoff.out_of_order:
        assert decision.next_attempt_at is not None
        assert decision.next_attempt_at >= now + policy.delay(1)
        assert decision.next_attempt_at == decision.backoff.until


@examples(50)
@given(healthy | recovering, moments, moments, st.booleans(), policies)
def test_first_failure_starts_backoff(
    backoff: BackoffState, started: datetime, now: datetime, forced: bool, policy: Policy
) -> None:
    assume(policy.limit > 1 and (backoff.until is None or backoff.until <= now))
    decision = decide(AttemptSummary(states.FAILURE, started, forced=forced), backoff, now, policy)
    assert decision.backoff == BackoffState(ceil(now + policy.delay(1)), now, 1)
    assert decision.why == f"Failed (1 of {policy.limit})."


@examples(50)
@given(st.lists(st.floats(0, 30), min_size=1, max_size=20), policies)
def test_failures_in_a_row_are_counted_up_to_the_limit(
    seconds: list[float], policy: Policy
) -> None:
    backoff, now = BackoffState(), NOW
    for n, took in enumerate(seconds, 1):
        started = backoff.until or now
        now = max(now, started + timedelta(seconds=took, microseconds=1))
        decision = decide(AttemptSummary(states.FAILURE, started), backoff, now, policy)
        backoff = decision.backoff
        assert (decision.state, backoff.failures) == (states.WAITING, n)
        assert backoff.out_of_order == (n >= policy.limit)
        if backoff.out_of_order:
            return
        assert backoff.until == ceil(now + policy.delay(n))


@examples(50)
@given(backing_off, st.timedeltas(timedelta(0), timedelta(days=9)), moments, policies)
def test_failure_in_flight_when_backoff_began_is_not_counted(
    backoff: BackoffState, ago: timedelta, now: datetime, policy: Policy
) -> None:
    assert backoff.until and backoff.began_at
    end = min(backoff.until, backoff.began_at + policy.delay(backoff.failures))
    decision = decide(AttemptSummary(states.FAILURE, end - ago - US), backoff, now, policy)
    assert (decision.state, decision.backoff.failures) == (states.WAITING, backoff.failures)
    assert decision.backoff.began_at == backoff.began_at
    assert "Already in flight when backoff began; not counted again." in decision.why
    later = decide(AttemptSummary(states.FAILURE, end), backoff, now, policy)
    assert later.backoff.failures == backoff.failures + 1


def test_late_failures_move_the_end_and_the_first_retry_is_counted() -> None:
    first = decide(AttemptSummary(states.FAILURE, NOW), BackoffState(), NOW, CONNECT).backoff
    late = NOW + timedelta(seconds=301)
    moved = decide(AttemptSummary(states.FAILURE, NOW), first, late, CONNECT).backoff
    assert (moved.until, moved.failures) == (late + timedelta(seconds=300), 1)
    # The retry that was started at the former end was in flight meanwhile.
    retried = AttemptSummary(states.FAILURE, NOW + timedelta(seconds=300))
    after = decide(retried, moved, late + timedelta(seconds=1), CONNECT).backoff
    assert (after.failures, after.until) == (2, late + timedelta(seconds=601))
    # With equal delays, the counted failure would end its backoff before that of the late one.
    earlier = decide(retried, moved, late - timedelta(seconds=1), replace(CONNECT, factor=1))
    assert (earlier.backoff.failures, earlier.backoff.until) == (2, moved.until)
    succeeded = replace(retried, outcome=states.SUCCESS)
    assert decide(succeeded, moved, late, CONNECT).backoff == moved


@examples(50)
@given(backing_off | out_of_order | recovering, moments, moments, policies)
def test_success_already_in_flight_clears_nothing(
    backoff: BackoffState, started: datetime, now: datetime, policy: Policy
) -> None:
    assume(backoff.until is None or started < backoff.until)
    decision = decide(AttemptSummary(states.SUCCESS, started), backoff, now, policy)
    assert (decision.state, decision.backoff, decision.cleared) == (states.DELIVERED, backoff, "")
    forced = AttemptSummary(states.SUCCESS, started, forced=True)
    assert decide(forced, backoff, now, policy).backoff == backoff


@examples(50)
@given(backing_off, st.timedeltas(timedelta(0), timedelta(days=9)), policies)
def test_success_started_after_backoff_ends_it(
    backoff: BackoffState, later: timedelta, policy: Policy
) -> None:
    assert backoff.until is not None
    started = backoff.until + later
    decision = decide(AttemptSummary(states.SUCCESS, started), backoff, started + US, policy)
    assert (decision.backoff, decision.cleared) == (BackoffState(), states.SUCCEEDED)


@examples(50)
@given(backing_off | out_of_order, moments, moments, policies)
def test_successful_trigger_now_during_backoff_clears_it(
    backoff: BackoffState, started: datetime, now: datetime, policy: Policy
) -> None:
    attempt = AttemptSummary(
        states.SUCCESS, started, forced=True, backoff_began_at=backoff.began_at
    )
    decision = decide(attempt, backoff, now, policy)
    assert (decision.backoff, decision.cleared) == (BackoffState(), states.TRIGGERED)


@examples(50)
@given(backing_off | out_of_order, moments, moments, policies)
def test_failed_trigger_now_is_not_counted(
    backoff: BackoffState, started: datetime, now: datetime, policy: Policy
) -> None:
    attempt = AttemptSummary(
        states.FAILURE, started, forced=True, backoff_began_at=backoff.began_at
    )
    after = decide(attempt, backoff, now, policy).backoff
    assert replace(after, until=backoff.until) == backoff


def test_failed_trigger_now_keeps_a_later_end() -> None:
    until = NOW + timedelta(seconds=600)
    backoff = BackoffState(until, NOW, 2)
    attempt = AttemptSummary(states.FAILURE, NOW, forced=True, backoff_began_at=NOW)
    assert decide(attempt, backoff, NOW + timedelta(seconds=200), CONNECT).backoff == backoff
    near = decide(attempt, backoff, NOW + timedelta(seconds=599), CONNECT)
    assert near.next_attempt_at == NOW + timedelta(seconds=899)
    assert near.why == "Failed. Trigger now during the backoff; not counted."


@examples(50)
@given(
    backoffs,
    moments,
    st.sampled_from([states.SUCCESS, states.FAILURE, states.UNKNOWN]),
    st.integers(0, 20),
    policies,
)
def test_attempt_with_old_settings_changes_no_backoff(
    backoff: BackoffState, now: datetime, outcome: str, losses: int, policy: Policy
) -> None:
    attempt = AttemptSummary(outcome, now, outdated=True, losses=losses)
    decision = decide(attempt, backoff, now, policy)
    assert decision.backoff == backoff
    assert decision.state == (states.DELIVERED if outcome == states.SUCCESS else states.WAITING)


@examples(50)
@given(
    backoffs, moments, st.sampled_from([states.SUCCESS, states.FAILURE, states.UNKNOWN]), policies
)
def test_altered_request_changes_no_backoff_and_is_not_repeated(
    backoff: BackoffState, now: datetime, outcome: str, policy: Policy
) -> None:
    attempt = AttemptSummary(outcome, now, forced=True, altered=True, losses=5)
    decision = decide(attempt, backoff, now, policy)
    assert decision.backoff == backoff
    assert decision.state == (states.DELIVERED if outcome == states.SUCCESS else states.FAILED)


@examples(50)
@given(attempts, backoffs, moments, policies)
def test_disabled_webhooks_validators_and_unknown_outcomes_change_no_backoff(
    attempt: AttemptSummary, backoff: BackoffState, now: datetime, policy: Policy
) -> None:
    attempt = replace(attempt, altered=False)
    decision = decide(attempt, backoff, now, policy)
    if not attempt.active:
        assert (decision.state, decision.backoff) == (states.CANCELLED, backoff)
    elif attempt.outcome != states.SUCCESS and not attempt.repeatable:
        assert (decision.state, decision.backoff) == (states.FAILED, backoff)
    elif attempt.outcome == states.UNKNOWN:
        assert (decision.state, decision.backoff) == (states.WAITING, backoff)
        assert (decision.due_at is None) == (attempt.outdated or attempt.losses <= 1)
    if attempt.outcome != states.UNKNOWN:
        assert decision.due_at is None


@examples(50)
@given(backoffs, moments, moments, st.integers(2, 50), st.booleans(), policies)
def test_delivery_waits_alone_from_its_second_lost_worker_in_a_row_on(
    backoff: BackoffState,
    started: datetime,
    now: datetime,
    losses: int,
    forced: bool,
    policy: Policy,
) -> None:
    lost = AttemptSummary(states.UNKNOWN, started, forced=forced, losses=losses)
    decision = decide(lost, backoff, now, policy)
    assert (decision.backoff, decision.state, decision.cleared) == (backoff, states.WAITING, "")
    assert decision.due_at is not None
    assert timedelta() <= decision.due_at - now - policy.delay(losses - 1) < timedelta(seconds=1)
    if backoff.out_of_order:
        assert decision.next_attempt_at is None and "out of order" in decision.why
    else:
        ends = [at for at in (decision.due_at, backoff.until) if at and at > now]
        assert decision.next_attempt_at == max(ends, default=None)
    assert f"Worker lost {losses} times in a row" in decision.why


def test_attempt_after_an_ended_backoff_is_immediate() -> None:
    backoff = BackoffState(NOW - US, NOW - timedelta(days=1), 1)
    decision = decide(AttemptSummary(states.UNKNOWN, NOW), backoff, NOW, CONNECT)
    assert (decision.state, decision.next_attempt_at) == (states.WAITING, None)


@pytest.mark.parametrize(("losses", "minutes"), [(2, 5), (3, 10), (4, 20), (9, 360), (5000, 360)])
def test_wait_of_a_delivery_grows_as_a_backoff_does(losses: int, minutes: int) -> None:
    attempt = AttemptSummary(states.UNKNOWN, NOW, losses=losses)
    decision = decide(attempt, BackoffState(), NOW, CONNECT)
    assert decision.due_at == decision.next_attempt_at == NOW + timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("failures", "why", "minutes"),
    [
        (0, "Failed (1 of 10).", 5),
        (2, "Failed (3 of 10).", 20),
        (7, "Failed (8 of 10).", 360),
    ],
)
def test_reason_has_failure_count(failures: int, why: str, minutes: int) -> None:
    backoff = BackoffState(NOW, NOW - timedelta(days=1), failures)
    decision = decide(AttemptSummary(states.FAILURE, NOW), backoff, NOW, CONNECT)
    assert (decision.why, decision.next_attempt_at) == (why, NOW + timedelta(minutes=minutes))


def test_reason_names_out_of_order() -> None:
    backoff = BackoffState(NOW, NOW - timedelta(days=1), 9)
    decision = decide(AttemptSummary(states.FAILURE, NOW), backoff, NOW, CONNECT)
    assert decision.why.startswith("Failed (10 of 10). The webhook is out of order")
    assert decision.next_attempt_at is None
