"""The retry policy as a pure function: what holds for every policy, standing and call."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from webhooks import retry
from webhooks.retry import Call, Policy, Standing, decide

checked = hypothesis_settings(deadline=None, max_examples=150)

NOW = datetime(2026, 11, 2, 10, 0, 0, tzinfo=UTC)
CONNECT = Policy(base=300, factor=2, cap=6 * 3600, limit=10)

moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))
policies = st.builds(
    Policy,
    base=st.floats(0.5, 1e6),
    factor=st.floats(1, 1e6),
    cap=st.floats(1, 1e7),
    limit=st.integers(1, 5000),
)
healthy = st.builds(Standing, gate_closed_at=st.none() | moments)
failing = st.builds(
    Standing, gate=moments, gate_closed_at=st.none() | moments, round=st.integers(0, 6000)
)
lost = st.builds(
    Standing, gate_closed_at=moments, round=st.integers(1, 6000), out_of_order=st.just(True)
)
standings = healthy | failing | lost
calls = st.builds(
    Call,
    outcome=st.sampled_from([retry.SUCCESS, retry.FAILURE, retry.UNKNOWN]),
    started_at=moments,
    forced=st.booleans(),
    repeatable=st.booleans(),
    active=st.booleans(),
    outdated=st.booleans(),
)


@checked
@given(policies, st.integers(1, 10**6))
def test_a_delay_is_never_shorter_than_the_base_nor_longer_than_the_cap(
    policy: Policy, round_: int
) -> None:
    delay = policy.delay(round_).total_seconds()
    assert delay <= policy.cap + 1e-6
    assert delay >= min(policy.base, policy.cap) - 1e-6


@checked
@given(policies, st.integers(1, 10**6))
def test_delays_grow_until_the_cap(policy: Policy, round_: int) -> None:
    this, following = policy.delay(round_), policy.delay(round_ + 1)
    assert this <= following
    if policy.factor >= 2 and following.total_seconds() < policy.cap - 1:
        assert following > this


def test_connects_own_ladder() -> None:
    minutes = [CONNECT.delay(n).total_seconds() / 60 for n in range(1, 10)]
    assert minutes == [5, 10, 20, 40, 80, 160, 320, 360, 360]


def test_a_huge_round_does_not_overflow() -> None:
    policy = Policy(base=1e308, factor=1e308, cap=1e9, limit=10)
    assert policy.delay(10**9) == timedelta(seconds=1e9)


@checked
@given(calls, standings, moments, policies)
def test_every_decision_is_sound(
    call: Call, standing: Standing, now: datetime, policy: Policy
) -> None:
    found = decide(call, standing, now, policy)
    assert found.state in (retry.WAITING, retry.DELIVERED, retry.FAILED, retry.CANCELLED)
    assert found.why and found.why == found.why.strip()
    after = found.standing
    if after.out_of_order:
        # No gate for what isn't called.
        assert after.gate is None
    if after != standing and call.outcome != retry.SUCCESS:
        assert after.round == standing.round + 1
        assert after.gate_closed_at == now
        assert after.out_of_order == (after.round >= policy.limit)
    assert (found.state == retry.DELIVERED) <= (call.outcome == retry.SUCCESS)


@checked
@given(calls, standings, moments, policies)
def test_no_gate_is_set_in_the_past_or_beyond_the_cap(
    call: Call, standing: Standing, now: datetime, policy: Policy
) -> None:
    after = decide(call, standing, now, policy).standing
    if after == standing or after.gate is None:
        return
    assert after.gate >= now + policy.delay(after.round)
    # Rounded up to Connect's whole seconds, and no further.
    assert after.gate.microsecond == 0
    assert after.gate < now + policy.delay(after.round) + timedelta(seconds=1)


@checked
@given(st.lists(st.floats(0, 30), min_size=1, max_size=20), policies)
def test_failure_after_failure_climbs_one_round_at_a_time_to_the_limit(
    seconds: list[float], policy: Policy
) -> None:
    standing, now = Standing(), NOW
    for n, took in enumerate(seconds, 1):
        started = standing.gate or now
        now = max(now, started + timedelta(seconds=took, microseconds=1))
        call = Call(retry.FAILURE, started + timedelta(microseconds=1))
        found = decide(call, standing, now, policy)
        standing = found.standing
        assert (found.state, standing.round) == (retry.WAITING, n)
        assert standing.out_of_order == (n >= policy.limit)
        if standing.out_of_order:
            return
        assert standing.gate is not None and standing.gate > started


@checked
@given(standings, moments, moments, st.booleans(), policies)
def test_a_success_always_heals(
    standing: Standing, started: datetime, now: datetime, forced: bool, policy: Policy
) -> None:
    found = decide(Call(retry.SUCCESS, started, forced=forced), standing, now, policy)
    assert found.state == retry.DELIVERED
    assert found.standing == Standing(gate_closed_at=standing.gate_closed_at)


@checked
@given(standings, moments, st.booleans(), policies)
def test_what_was_edited_meanwhile_moves_no_gate(
    standing: Standing, now: datetime, succeeded: bool, policy: Policy
) -> None:
    outcome = retry.SUCCESS if succeeded else retry.FAILURE
    found = decide(Call(outcome, now, outdated=True), standing, now, policy)
    assert found.standing == standing
    assert found.state == (retry.DELIVERED if succeeded else retry.WAITING)


@checked
@given(standings, moments, st.sampled_from([retry.SUCCESS, retry.FAILURE, retry.UNKNOWN]), policies)
def test_what_is_sent_otherwise_than_the_webhook_says_is_one_call(
    standing: Standing, now: datetime, outcome: str, policy: Policy
) -> None:
    found = decide(Call(outcome, now, forced=True, altered=True), standing, now, policy)
    assert found.standing == standing
    assert found.state == (retry.DELIVERED if outcome == retry.SUCCESS else retry.FAILED)


@checked
@given(failing, st.timedeltas(timedelta(0), timedelta(days=9)), moments, policies)
def test_a_call_from_before_the_gate_closed_opens_no_round(
    standing: Standing, ago: timedelta, now: datetime, policy: Policy
) -> None:
    closed_at = standing.gate_closed_at or NOW
    standing = Standing(standing.gate, closed_at, standing.round)
    found = decide(Call(retry.FAILURE, closed_at - ago), standing, now, policy)
    assert (found.state, found.standing) == (retry.WAITING, standing)
    later = Call(retry.FAILURE, closed_at + timedelta(microseconds=1))
    assert decide(later, standing, now, policy).standing.round == standing.round + 1


@checked
@given(failing | lost, moments, moments, policies)
def test_a_failed_trigger_now_moves_nothing_that_is_failing(
    standing: Standing, started: datetime, now: datetime, policy: Policy
) -> None:
    found = decide(Call(retry.FAILURE, started, forced=True), standing, now, policy)
    assert (found.state, found.standing) == (retry.WAITING, standing)


@checked
@given(healthy, moments, policies)
def test_a_failed_trigger_now_opens_round_one_on_a_healthy_webhook(
    standing: Standing, now: datetime, policy: Policy
) -> None:
    found = decide(Call(retry.FAILURE, now, forced=True), standing, now, policy)
    assert found.standing.round == 1


@checked
@given(calls, standings, moments, policies)
def test_unknown_validators_and_disabled_leave_the_standing(
    call: Call, standing: Standing, now: datetime, policy: Policy
) -> None:
    found = decide(call, standing, now, policy)
    if not call.active:
        assert (found.state, found.standing) == (retry.CANCELLED, standing)
    elif call.outcome != retry.SUCCESS and not call.repeatable:
        assert (found.state, found.standing) == (retry.FAILED, standing)
    elif call.outcome == retry.UNKNOWN:
        assert (found.state, found.standing) == (retry.WAITING, standing)


def test_the_reason_says_the_round_the_sum_and_the_moment() -> None:
    why = decide(Call(retry.FAILURE, NOW), Standing(None, None, 2), NOW, CONNECT).why
    assert why == (
        "Failure: round 3 of 10. Waits 20 min (300 s × 2^2), so tried again at "
        "2026-11-02 10:20:00 UTC."
    )
    capped = decide(Call(retry.FAILURE, NOW), Standing(None, None, 7), NOW, CONNECT).why
    assert "Waits 6 h (the longest wait)" in capped
    lost = decide(Call(retry.FAILURE, NOW), Standing(None, None, 9), NOW, CONNECT).why
    assert "round 10 of 10: the webhook is out of order" in lost
