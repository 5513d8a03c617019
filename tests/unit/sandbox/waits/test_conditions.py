"""Conditions of waits, folded from entries."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.waits import condition_parsing, conditions
from sandbox.waits.condition_parsing import BadCondition
from sandbox.waits.conditions import Condition, History, ObjectKind, Present

W, OTHER = "WH-1", "WH-2"
PURCHASE, VALIDATION = "asset_purchase_request_processing", "asset_purchase_request_validation"
ORDER = ObjectKind(("pending", "approved", "failed"), frozenset({"approved", "failed"}))
SUBSCRIPTION = ObjectKind(("active",), has_deliveries=False)


class Known:
    """Webhooks and objects that conditions may name."""

    def has_webhook(self, pk: str) -> bool:
        return pk in (W, OTHER)

    def kind_of(self, pk: str) -> ObjectKind | None:
        kinds = {"AS-1": SUBSCRIPTION, "BRV-1": ObjectKind(())}
        return ORDER if pk in ("PR-1", "PR-2") else kinds.get(pk)

    def may_have_tasks(self, pk: str) -> bool:
        return pk.startswith("PR-")


def parse(data: Any) -> Condition:
    return condition_parsing.parse(data, Known())


def entry(number: int, kind: str = "attempt_finished", **values: Any) -> dict[str, Any]:
    """Return an entry of the timeline as JSON."""
    data = {
        "outcome": "success",
        "state": "delivered",
        "error": "",
        "why": "Delivered.",
        "out_of_order": False,
        "objects": ["PR-1"],
    }
    found = {
        "cursor": f"0.{number}",
        "kind": kind,
        "at": f"2026-11-26T13:50:{number:02}.250+00:00",
        "webhook": W,
        "delivery": 1,
        "attempt": 1,
        "object": "PR-1",
        "data": data,
    }
    data |= values.pop("data", {})
    return found | values


def failure(number: int, **values: Any) -> dict[str, Any]:
    data = {"outcome": "failure", "state": "waiting", "error": "HTTP 500", "why": "Failed."}
    return entry(number, **{**values, "data": data | values.get("data", {})})


def task(number: int, **data: Any) -> dict[str, Any]:
    """Return the entry of the end of a task, by default with success."""
    content = {"action": "finished", "id": "TQ-1", "type": PURCHASE, "number": 1, "message": ""}
    content |= {"result": "success", "due_at": None} | data
    empty = {"webhook": None, "delivery": None, "attempt": None}
    return {**entry(number, kind="task", **empty), "data": content}


def fed(data: Any, *entries: dict[str, Any]) -> Condition:
    condition = parse(data)
    for each in entries:
        condition.feed(each)
    return condition


def cursors(condition: Condition) -> list[str]:
    return [each["cursor"] for each in condition.evidence()]


A, B = {"delivered": {"webhook": W}}, {"failed": {"webhook": W}}
TOO_MANY = {"called": {"webhook": W, "at_most": 0}}
DELIVERED = {"delivered": {"webhook": W, "object": "PR-1"}}
FAILED = {"failed": {"object": "PR-1"}}
TASK: Any = {"task": {"object": "PR-1"}}
LATER: Any = {"rescheduled": {"object": "PR-1"}}
IN_TWO = {"delivered": {"webhook": W, "attempts_at_most": 2}}
VERDICTS = {
    "nothing happened": (DELIVERED, [], None),
    "failure": (DELIVERED, [failure(1)], None),
    "another webhook": (DELIVERED, [entry(1, webhook=OTHER)], None),
    "another object": (DELIVERED, [entry(1, data={"objects": ["PR-2"]})], None),
    "recorded late": (DELIVERED, [entry(1, data={"state": None})], None),
    "success": (DELIVERED, [failure(1), entry(2), entry(3)], True),
    "one of several objects": (
        {"delivered": {"object": "PR-2"}},
        [entry(1, object=None, data={"objects": ["PR-1", "PR-2"]})],
        True,
    ),
    "third attempt": (IN_TWO, [entry(1, attempt=3)], None),
    "second attempt": (IN_TWO, [entry(1, attempt=3), entry(2, attempt=2)], True),
    "failed: success": (FAILED, [entry(1)], None),
    "failed: failure": (FAILED, [failure(1)], True),
    "failed: unknown": (FAILED, [failure(1, data={"outcome": "unknown"})], True),
    "task: sent": (TASK, [task(1, action="started")], None),
    "task: failure": (TASK, [task(1, result="fail")], None),
    "task: about another object": (TASK, [{**task(1), "object": "PR-2"}], None),
    "task: success": (TASK, [task(1, result="fail"), task(2)], True),
    "task: another type": (
        {"task": {"object": "PR-1", "type": VALIDATION}},
        [task(1)],
        None,
    ),
    "task: result": (
        {"task": {"object": "PR-1", "result": "lost"}},
        [task(1, result="lost")],
        True,
    ),
    "rescheduled: success": (LATER, [task(1)], None),
    "rescheduled": (LATER, [task(1, result="reschedule"), task(2)], True),
    "all: one": ({"all": [A, B]}, [entry(1)], None),
    "all: both": ({"all": [A, B]}, [entry(2), failure(1)], True),
    "all: one that is false": ({"all": [A, TOO_MANY]}, [entry(1)], False),
    "any: none": ({"any": [A, B]}, [], None),
    "any: one": ({"any": [A, B]}, [failure(1)], True),
    "any: one that is false": ({"any": [TOO_MANY, B]}, [entry(1)], None),
    "any: all are false": ({"any": [TOO_MANY]}, [entry(1)], False),
}


@pytest.mark.parametrize(("data", "entries", "verdict"), VERDICTS.values(), ids=VERDICTS)
def test_verdict_follows_from_what_happened(
    data: Any, entries: list[dict[str, Any]], verdict: bool | None
) -> None:
    assert fed(data, *entries).verdict() is verdict


def test_evidence_is_what_made_a_condition_true() -> None:
    assert cursors(fed(DELIVERED, failure(1), entry(2), entry(3))) == ["0.2"]
    assert cursors(fed({"all": [A, B]}, entry(2), failure(1))) == ["0.1", "0.2"]


@pytest.mark.parametrize(
    ("numbers", "verdicts"),
    [
        ({"times": 2}, [None, None, True, False]),
        ({"at_least": 2}, [None, None, True, True]),
        ({"at_most": 1}, [True, True, False, False]),
        ({"at_least": 1, "at_most": 2}, [None, True, True, False]),
        ({"times": 0}, [True, False, False, False]),
        ({}, [None, True, True, True]),
    ],
)
def test_called_counts_attempts(numbers: dict[str, int], verdicts: list[Any]) -> None:
    condition = parse({"called": {"webhook": W, **numbers}})
    condition.feed(entry(1, webhook=OTHER))
    condition.feed(entry(2, kind="attempt_started"))
    seen = [condition.verdict()]
    for number in (3, 4, 5):
        condition.feed(failure(number))
        seen.append(condition.verdict())
    assert seen == verdicts


def test_status_is_about_the_present() -> None:
    data = {"status": {"object": "PR-1", "is": "approved"}}
    change = entry(1, kind="change", data={"to": "approved"})
    condition = fed(data, change)
    assert condition.verdict() is None
    assert condition.verdict(Present({"PR-1": "pending"})) is None
    assert condition.verdict(Present({"PR-1": "approved"})) is True
    assert cursors(condition) == ["0.1"]
    condition.feed(entry(2, kind="change", data={"to": "failed"}))
    assert cursors(condition) == []
    assert condition.needs().objects == {"PR-1"}
    # Final.
    assert condition.verdict(Present({"PR-1": "failed"})) is False


@pytest.mark.parametrize(
    ("data", "objects"),
    [
        ({"status": {"object": "PR-1", "is": "approved"}}, {"PR-1"}),
        ({"idle": True}, set()),
        ({"any": [{"status": {"object": "PR-1", "is": "approved"}}, {"idle": True}]}, {"PR-1"}),
        ({"never": {"status": {"object": "PR-2", "is": "failed"}}}, {"PR-2"}),
        ({"out_of_order": "WH-1"}, None),
        (
            {"all": [{"status": {"object": "PR-1", "is": "failed"}}, {"failed": {"webhook": W}}]},
            None,
        ),
    ],
)
def test_objects_whose_changes_a_condition_must_be_fed(data: Any, objects: Any) -> None:
    assert parse(data).about() == objects


def test_idle_and_out_of_order_are_about_the_present() -> None:
    assert fed({"idle": True}).verdict(Present()) is None
    assert fed({"idle": True}).verdict(Present(idle=True)) is True
    condition = fed({"out_of_order": W}, failure(1), failure(2, data={"out_of_order": True}))
    assert condition.verdict(Present(out_of_order={W: False})) is None
    assert condition.verdict(Present(out_of_order={W: True})) is True
    assert cursors(condition) == ["0.2"]


def test_never_is_true_at_the_end_and_false_once_it_happened() -> None:
    condition = fed({"never": B}, entry(1))
    assert condition.verdict() is None
    assert condition.verdict(ended=True) is True
    condition.feed(failure(2))
    assert condition.verdict() is False
    assert condition.verdict(ended=True) is False
    [miss] = conditions.nearest(condition, History(Present()))
    assert miss.entry is not None and miss.entry["cursor"] == "0.2"


def test_never_remembers_what_was_true_for_a_moment() -> None:
    once = {"never": {"called": {"webhook": W, "times": 1}}}
    assert fed(once, entry(1), entry(2)).verdict() is False
    status = fed({"never": {"status": {"object": "PR-1", "is": "failed"}}})
    assert status.verdict(Present({"PR-1": "failed"})) is False
    assert status.verdict(Present({"PR-1": "pending"}), ended=True) is False


def test_near_misses_are_the_attempts_that_differ_least() -> None:
    condition = parse({"delivered": {"webhook": W, "attempts_at_most": 1}})
    entries = [
        entry(1, webhook=OTHER, delivery=1),
        failure(2, delivery=2),
        failure(3, delivery=3, attempt=2),
        failure(4, delivery=4),
        entry(5, delivery=5, attempt=4),
        failure(6, webhook=OTHER, delivery=6),
    ]
    for each in entries:
        condition.feed(each)
    misses = conditions.nearest(condition, History(Present(), entries))
    found = [
        (miss.represent()["delivery"], [d.represent() for d in miss.differences]) for miss in misses
    ]
    assert found == [
        (5, [{"field": "attempt", "expected": "at most 1", "actual": "4"}]),
        (4, [{"field": "outcome", "expected": "delivered", "actual": "failed: HTTP 500"}]),
        (2, [{"field": "outcome", "expected": "delivered", "actual": "failed: HTTP 500"}]),
    ]


def test_near_misses_show_what_has_not_ended_and_what_was_too_early() -> None:
    condition = parse({"delivered": {"webhook": W}})
    pending = entry(1, kind="event", delivery=1, attempt=None)
    started = entry(2, kind="attempt_started", delivery=2)
    early = entry(3, delivery=3)
    misses = conditions.nearest(condition, History(Present(), [pending, started], [early]))
    assert [[(d.field, d.actual) for d in miss.differences] for miss in misses] == [
        [("outcome", "in flight")],
        [("outcome", "pending")],
        [("since", "before it")],
    ]


def test_near_miss_of_a_status_is_the_object() -> None:
    condition = parse({"status": {"object": "PR-1", "is": "approved"}})
    [miss] = conditions.nearest(condition, History(Present({"PR-1": "pending"})))
    assert miss.represent()["object"] == "PR-1"
    assert miss.represent()["differs"] == [
        {"field": "status", "expected": "approved", "actual": "pending"}
    ]


def test_unmet_parts_are_named() -> None:
    condition = fed({"all": [A, B, {"idle": True}]}, entry(1))
    unmet = condition.unmet(History(Present()))
    assert [each.describe() for each in unmet] == ["a failed attempt of WH-1", "an idle sandbox"]


def test_near_misses_are_about_the_same_object() -> None:
    condition = parse({"delivered": {"webhook": W, "object": "PR-1"}})
    elsewhere = entry(1, webhook=OTHER, delivery=1)
    other = entry(2, delivery=2, object="PR-2", data={"objects": ["PR-2"]})
    [miss] = conditions.nearest(condition, History(Present(), [elsewhere, other], [other]))
    assert [d.represent() for d in miss.differences] == [
        {"field": "webhook", "expected": W, "actual": OTHER}
    ]


STARTED = entry(3, kind="attempt_started", attempt=2)
CHANGE = entry(1, kind="change", data={"to": "pending"})
PENDING = Present({"PR-1": "pending"})
APPROVED = {"status": {"object": "PR-1", "is": "approved"}}
NONE = {"delivered": {"webhook": W, "object": "PR-1"}}
REASONS = {
    "no attempt": (NONE, [], Present(), "there was no request to WH-1 about PR-1"),
    "failed": (A, [failure(2)], Present(), "attempt 1 of delivery 1 failed: HTTP 500"),
    "in flight": (A, [STARTED], Present(), "attempt 2 of delivery 1 is in flight"),
    "delivered": (FAILED, [entry(2)], Present(), "attempt 1 of delivery 1 succeeded"),
    "pending": (A, [entry(1, kind="event", attempt=None)], Present(), "delivery 1 is pending"),
    "called": (
        {"called": {"webhook": W, "times": 3}},
        [failure(1), failure(2, attempt=2), entry(3, kind="attempt_started", attempt=3)],
        Present(),
        "there were 2 requests to WH-1, and attempt 3 of delivery 1 is in flight",
    ),
    "never called": (
        {"called": {"object": "PR-1"}},
        [],
        Present(),
        "there was no request about PR-1",
    ),
    "status": (
        APPROVED,
        [CHANGE, failure(2)],
        PENDING,
        "PR-1 has been pending since 2026-11-26 13:50:01 UTC; attempt 1 of delivery 1 failed: "
        "HTTP 500",
    ),
    "status, with a note": (
        APPROVED,
        [entry(2)],
        PENDING,
        "PR-1 is pending; attempt 1 of delivery 1 succeeded (approve was rejected)",
    ),
    "status without a request": (
        APPROVED,
        [],
        PENDING,
        "PR-1 is pending; there was no request about it",
    ),
    "final status": (APPROVED, [], Present({"PR-1": "failed"}), "PR-1 is failed, which is final"),
    "status of a subscription": (
        {"status": {"object": "AS-1", "is": "active"}},
        [],
        Present({"AS-1": "processing"}),
        "AS-1 is processing",
    ),
    "no object": (APPROVED, [], Present({"PR-1": None}), "PR-1 does not exist any more"),
    "idle": ({"idle": True}, [], Present(idle=False), "the sandbox is not idle: Delivery 1 is due"),
    "out of order": (
        {"out_of_order": W},
        [failure(1)],
        Present(out_of_order={W: False}),
        "WH-1 is not out of order; Failed",
    ),
    "no task": (TASK, [], Present(), "there was no task about PR-1"),
    "task that is processed": (
        TASK,
        [task(1, action="started")],
        Present(),
        f"task TQ-1 ({PURCHASE}) was sent at 2026-11-26 13:50:01 UTC and is processed",
    ),
    "task that is sent again": (
        TASK,
        [task(1, result="retry", message="KeyError.", due_at="2026-11-26T13:55:00+00:00")],
        Present(),
        f"task TQ-1 ({PURCHASE}) ended with retry: KeyError, and is sent again at 2026-11-26 "
        "13:55:00 UTC",
    ),
    "never, task": (
        {"never": TASK},
        [task(1)],
        Present(),
        f"task TQ-1 ({PURCHASE}) ended with success",
    ),
    "no webhook": ({"out_of_order": W}, [], Present(), "WH-1 does not exist any more"),
    "any": (
        {"any": [APPROVED, {"status": {"object": "PR-1", "is": "failed"}}, A]},
        [],
        PENDING,
        "PR-1 is pending; there was no request about it; there was no request to WH-1",
    ),
    "never, undecided": ({"never": A}, [], Present(), "its span of platform time has not passed"),
    "never, attempt": (
        {"never": A},
        [STARTED, entry(4, attempt=2)],
        Present(),
        "attempt 2 of delivery 1 began at 2026-11-26 13:50:03 UTC and succeeded",
    ),
    "never, status": (
        {"never": APPROVED},
        [entry(1, kind="change", data={"to": "approved"})],
        Present({"PR-1": "approved"}),
        "PR-1 became approved at 2026-11-26 13:50:01 UTC",
    ),
    "never, from the beginning": (
        {"never": {"idle": True}},
        [],
        Present(idle=True),
        "it was so already: an idle sandbox",
    ),
}


@pytest.mark.parametrize(("data", "entries", "present", "reason"), REASONS.values(), ids=REASONS)
def test_reason_says_why_a_condition_is_not_true(
    data: Any, entries: list[dict[str, Any]], present: Present, reason: str
) -> None:
    condition = fed(data, *entries)
    condition.verdict(present)
    unsettled, note = ["Delivery 1 is due."], "approve was rejected"
    history = History(present, entries, unsettled=unsettled, note=lambda entry: note)
    assert [each.reason(history) for each in condition.unmet(history)] == [reason]


def test_near_misses_of_a_task_are_those_about_its_object() -> None:
    condition = parse({"task": {"object": "PR-1", "type": PURCHASE}})
    started, other = task(2, action="started"), task(4, id="TQ-2", type=VALIDATION)
    failed = task(3, result="fail", message="No.")
    entries = [entry(1), started, failed, other]
    misses = conditions.nearest(condition, History(Present(), entries, [task(0, id="TQ-0")]))
    assert [[each.represent() for each in miss.differences] for miss in misses] == [
        [{"field": "result", "expected": "success", "actual": "fail: No."}],
        [{"field": "since", "expected": "after the cursor", "actual": "before it"}],
        [{"field": "type", "expected": PURCHASE, "actual": VALIDATION}],
    ]
    assert misses[0].represent()["object"] == "PR-1" and not misses[0].represent()["delivery"]
    before = condition.reason(History(Present(), [], [task(0)]))
    assert before == (
        f"there was no task {PURCHASE} about PR-1 since the cursor; before it, task TQ-1 "
        f"({PURCHASE}) ended with success"
    )


def test_reason_names_an_attempt_before_the_cursor() -> None:
    history = History(Present(), [], [entry(1)])
    text = "there was no request to WH-1 since the cursor; before it, attempt 1 of delivery 1"
    assert fed(A).reason(history) == f"{text} succeeded"


@pytest.mark.parametrize(
    ("data", "path"),
    [
        (None, "until"), ([], "until"), ({}, "until"), ("x", "until"), ({"x": 1}, "until"),
        ({"idle": True, "delivered": {"webhook": W}}, "until"),
        ({"delivered": {}}, "until.delivered"), ({"delivered": W}, "until.delivered"),
        ({"delivered": {"webhook": 1}}, "until.delivered.webhook"),
        ({"delivered": {"webhook": ""}}, "until.delivered.webhook"),
        ({"delivered": {"webhook": W, "x": 1}}, "until.delivered"),
        ({"delivered": {"webhook": W, "attempts_at_most": 0}}, "until.delivered.attempts_at_most"),
        ({"delivered": {"webhook": W, "attempts_at_most": True}},
         "until.delivered.attempts_at_most"),
        ({"failed": {"object": "x" * 101}}, "until.failed.object"),
        ({"called": {"webhook": W, "times": -1}}, "until.called.times"),
        ({"called": {"webhook": W, "times": 1.5}}, "until.called.times"),
        ({"called": {"webhook": W, "times": 1, "at_least": 1}}, "until.called"),
        ({"called": {"webhook": W, "at_least": 2, "at_most": 1}}, "until.called.at_least"),
        ({"status": {"object": "PR-1"}}, "until.status.is"),
        ({"status": {"is": "approved"}}, "until.status.object"),
        ({"delivered": {"webhook": "WH-9"}}, "until.delivered.webhook"),
        ({"failed": {"webhook": W, "object": "PR-9"}}, "until.failed.object"),
        ({"called": {"object": "AS-1"}}, "until.called.object"),
        ({"status": {"object": "PR-9", "is": "approved"}}, "until.status.object"),
        ({"status": {"object": "PR-1", "is": "aproved"}}, "until.status.is"),
        ({"status": {"object": "BRV-1", "is": "approved"}}, "until.status.object"),
        ({"all": [A, {"out_of_order": "WH-9"}]}, "until.all.1.out_of_order"),
        ({"out_of_order": "WH-1\0"}, "until.out_of_order"),
        ({"idle": False}, "until.idle"), ({"idle": 1}, "until.idle"),
        ({"out_of_order": {}}, "until.out_of_order"), ({"out_of_order": ""}, "until.out_of_order"),
        ({"all": []}, "until.all"), ({"all": {}}, "until.all"), ({"any": "x"}, "until.any"),
        ({"all": [A, {"x": 1}]}, "until.all.1"), ({"never": []}, "until.never"),
        ({"never": {"delivered": {}}}, "until.never.delivered"),
        ({"all": [A] * condition_parsing.MAX_CONDITIONS}, "until.all.49"),
        ({"task": {}}, "until.task.object"), ({"task": {"object": "AS-1"}}, "until.task.object"),
        ({"task": {"object": "PR-1", "type": "asset"}}, "until.task.type"),
        ({"task": {"object": "PR-1", "result": ["fail"]}}, "until.task.result"),
        ({"rescheduled": {"object": "PR-1", "result": "fail"}}, "until.rescheduled"),
    ],
)  # fmt: skip
def test_malformed_conditions_are_refused(data: Any, path: str) -> None:
    with pytest.raises(BadCondition) as refused:
        parse(data)
    assert refused.value.path == path
    assert refused.value.message.endswith((".", "?"))


def test_refused_status_names_those_of_the_object() -> None:
    with pytest.raises(BadCondition, match="pending, approved, failed"):
        parse({"status": {"object": "PR-1", "is": "aproved"}})


# Properties

subjects = st.fixed_dictionaries(
    {"webhook": st.sampled_from([W, OTHER])}, optional={"object": st.sampled_from(["PR-1", "PR-2"])}
)
lasting = st.one_of(
    st.builds(lambda s, n: {"delivered": {**s, "attempts_at_most": n}}, subjects,
              st.integers(1, 3)),
    st.builds(lambda s: {"failed": s}, subjects),
    st.builds(lambda s, n: {"called": {**s, "at_least": n}}, subjects, st.integers(0, 4)),
)  # fmt: skip
momentary = st.builds(
    lambda s, name, n: {"called": {**s, name: n}}, subjects,
    st.sampled_from(["times", "at_most"]), st.integers(0, 4),
)  # fmt: skip


def nested(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda inner: st.builds(
            lambda name, parts: {name: parts},
            st.sampled_from(["all", "any"]),
            st.lists(inner, min_size=1, max_size=3),
        ),
        max_leaves=5,
    )


@st.composite
def logs(draw: st.DrawFn) -> list[dict[str, Any]]:
    one = st.builds(
        lambda make, webhook, objects, attempt: (
            lambda n: make(
                n,
                webhook=webhook,
                delivery=n,
                attempt=attempt,
                object=None,
                data={"objects": objects},
            )
        ),
        st.sampled_from([entry, failure]),
        st.sampled_from([W, OTHER]),
        st.lists(st.sampled_from(["PR-1", "PR-2"]), unique=True, min_size=1),
        st.integers(1, 4),
    )
    return [make(n) for n, make in enumerate(draw(st.lists(one, max_size=12)))]


def verdicts(condition: Condition, log: list[dict[str, Any]]) -> list[Any]:
    seen = [condition.verdict()]
    for each in log:
        condition.feed(each)
        seen.append(condition.verdict())
    return seen


@given(nested(st.one_of(lasting, momentary)), logs(), st.lists(st.integers(1, 5)))
def test_batches_do_not_change_the_verdict(
    data: Any, log: list[dict[str, Any]], sizes: list[int]
) -> None:
    whole = fed(data, *log)
    batched, rest = parse(data), list(log)
    for size in [*sizes, len(log)]:
        for each in rest[:size]:
            batched.feed(each)
        del rest[:size]
        batched.verdict()
    assert batched.verdict() == whole.verdict()
    assert batched.evidence() == whole.evidence()


@given(nested(lasting), logs())
def test_verdicts_about_what_happened_last(data: Any, log: list[dict[str, Any]]) -> None:
    seen = verdicts(parse(data), log)
    assert seen == sorted(seen, key=lambda verdict: verdict is True)


@given(nested(st.one_of(lasting, momentary)), logs())
def test_never_is_the_opposite_of_once(data: Any, log: list[dict[str, Any]]) -> None:
    happened = True in verdicts(parse(data), log)
    never = fed({"never": data}, *log)
    assert never.verdict(ended=True) is not happened
    assert never.verdict() is (False if happened else None)


@given(nested(st.one_of(lasting, momentary)), logs())
def test_a_condition_is_unmet_unless_it_is_true(data: Any, log: list[dict[str, Any]]) -> None:
    condition = fed(data, *log)
    history = History(Present(), log)
    unmet = condition.unmet(history)
    assert bool(unmet) is (condition.verdict(Present()) is not True)
    assert all(each.reason(history) for each in unmet)
    misses = conditions.nearest(condition, history)
    assert len(misses) <= 3
    assert all(miss.differences for miss in misses) or not unmet
