"""Choices: at once, in snapshots, undone by a reset, the same in all processes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from requests_queue import assumptions
from requests_queue.alternatives import ALTERNATIVES
from sandbox.models import Reading
from sandbox.readings import chosen, registry
from tests import patched_time
from tests.api import Caller
from tests.sandbox.snapshot_files import files
from tests.sandbox.worlds import ok, reset
from webhooks.delivery import wakeup
from webhooks.signals import claiming_deliveries

pytestmark = pytest.mark.django_db(transaction=True)
PATH = "/sandbox/readings"


def values(who: Caller) -> dict[str, str]:
    return {each["id"]: each["value"] for each in ok(who.get(PATH))}


def test_registry_has_each_alternative() -> None:
    assert {r.id: tuple(r.alternatives) for r in registry.READINGS} == ALTERNATIVES


def test_list_has_the_alternatives_and_the_settings_count(vendor: Caller, settings: Any) -> None:
    settings.SIM_VALUE_ERRORS = "cleared"
    [shown] = [each for each in ok(vendor.get(PATH)) if each["id"] == "value_errors"]
    assert (shown["value"], shown["default"], shown["setting"]) == (
        "cleared",
        "kept",
        "SIM_VALUE_ERRORS",
    )
    assert [each["value"] for each in shown["alternatives"]] == ["kept", "cleared"]
    assert ok(vendor.put(PATH, {"value_errors": "kept"}))
    assert values(vendor)["value_errors"] == "kept"
    # Back to that of the setting.
    ok(vendor.put(PATH, {"value_errors": None}))
    assert values(vendor)["value_errors"] == "cleared"


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        None,
        "jwt_header=both",
        {"jwt_header": "none"},
        {"jwt_header": 1},
        {"jwt_header": ["both"]},
        {"jwt_header": "authorization", "jwt_headers": "both"},
    ],
)
def test_invalid_choice_changes_nothing(vendor: Caller, body: Any) -> None:
    before = values(vendor)
    response = vendor.put(PATH, body)
    assert (response.status, response.json["error_code"]) == (400, "VAL_001")
    assert values(vendor) == before and not Reading.objects.exists()


def test_only_a_key_may_choose(nobody: Caller) -> None:
    assert nobody.get(PATH).status == nobody.put(PATH, {"jwt_header": "both"}).status == 401


def test_reset_undoes_choices_and_snapshots_have_them(
    saved: dict[str, list[Any]], vendor: Caller
) -> None:
    ok(vendor.put(PATH, {"default_page": "10", "jwt_header": "authorization"}))
    ok(vendor.post("/sandbox/snapshots", {"name": "a", "patience": 0}))
    reset(vendor, patience=0)
    assert values(vendor)["default_page"] == "100"
    ok(vendor.put(PATH, {"jwt_header": "authentication", "key_order": "reversed"}))
    ok(vendor.post("/sandbox/snapshots/a/restore", {"patience": 0}))
    shown = values(vendor)
    assert (shown["default_page"], shown["jwt_header"]) == ("10", "authorization")
    assert shown["key_order"] == "documented"


def test_file_of_a_snapshot_has_choices_and_an_unknown_one_is_refused(
    saved: dict[str, list[Any]], vendor: Caller
) -> None:
    ok(vendor.put(PATH, {"default_page": "10"}))
    ok(vendor.post("/sandbox/snapshots", {"name": "a", "patience": 0}))
    content = files.exported(vendor, "a")
    reset(vendor, patience=0)
    files.imported(vendor, content, name="b")
    ok(vendor.post("/sandbox/snapshots/b/restore", {"patience": 0}))
    assert values(vendor)["default_page"] == "10"
    for row in (["default_page", "many"], ["default_page", 10], ["pages", "10"], [["a"], "10"]):
        lines = files.lines(content)
        lines[files.place(lines, "sandbox.Reading") + 1] = row
        response = files.send(vendor, files.packed(lines), name="c")
        assert response.status == 400 and "of sandbox.Reading" in response.json["errors"][0]


def test_other_process_reads_a_choice_before_the_caller_has_its_response(
    vendor: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakeup, "is_broker_in_memory", lambda: False)
    waits: list[float] = []
    patched_time.replace(monkeypatch, chosen, sleep=waits.append)
    chosen.choose({"jwt_header": "authorization"})
    assert waits == [chosen.SPREAD]
    # As another process changes the row.
    Reading.objects.update(alternative="authentication")
    assert assumptions.value("jwt_header") == "authorization"
    monkeypatch.setattr(chosen, "_read_at", chosen._read_at - chosen.SPREAD)
    assert assumptions.value("jwt_header") == "authentication"
    # The same again.
    chosen.choose({"jwt_header": "authentication"})
    assert waits == [chosen.SPREAD]


def test_choices_take_no_statement(vendor: Caller, django_assert_num_queries: Any) -> None:
    chosen.choose({"jwt_header": "authorization"})
    with django_assert_num_queries(0):
        assert assumptions.value("jwt_header") == "authorization"
        assert assumptions.value("key_order") == "documented"
        assert chosen.differing() == ["jwt_header=authorization"]


def test_event_loop_does_not_read_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    async def value() -> str:
        return assumptions.value("jwt_header")

    Reading.objects.create(pk="jwt_header", alternative="authorization")
    monkeypatch.setattr(chosen, "_chosen", None)
    assert asyncio.run(value()) == "both"
    # A claim reads it for the requests that follow.
    claiming_deliveries.send(sender=None)
    assert asyncio.run(value()) == "authorization"
