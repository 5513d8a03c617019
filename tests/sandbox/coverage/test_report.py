"""`GET /sandbox/coverage` and `connect-sim coverage`: the report, over resets, and its stubs."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from checks import sandbox_file
from requests_queue.queues import base
from sandbox.coverage import cases, possible, recipes, stubs, summary
from sandbox.faults.kinds import KINDS, TASK
from sandbox.timeline import timeline
from tests import program
from tests.api import Caller
from tests.orders import PLAIN
from tests.processes import ROOT
from tests.sandbox import worlds
from tests.sandbox.calling import CheckedCaller
from tests.sandbox.coverage.all_cases import FEATURES, every
from tests.sandbox.worlds import ok
from webhooks.models import Webhook

CREATED = "fulfillment_request.purchase.created.pending"
MISSING = "fulfillment_request.purchase.pending.approved"
WITHOUT_TEST = re.compile(
    # What a sample never is, what the handler's rules decide, what the platform does.
    r".*\.(created|draft|tiers_setup)\.inquiring|validator\..*\.(errors|values)|"
    r"validator\..*_inq(uiring_validator|_val)\.ok|validator\.inquiring_validator\.ok|"
    r"tier_config_request\..*tiers_setup.*|fault\.api\.hold(_call)?|"
    r"billing_request\.vendor\.changed|"
    r"usage_file\.(draft|invalid)\.deleted|usage_file\.invalid\..*|usage_file\.processing\.invalid|"
    r"usage_file\.(ready|rejected)\.uploading"
)

pytestmark = pytest.mark.django_db(transaction=True)


def rows(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in report["cases"]}


@pytest.fixture
def checked(vendor: Caller) -> CheckedCaller:
    """The vendor's client, whose answers are compared with the document."""
    return CheckedCaller(vendor.key)


def test_report_outlives_reset_restore_and_product(
    saved: Any, checked: CheckedCaller, distributor: Caller
) -> None:
    empty = ok(checked.get("/sandbox/coverage"))
    assert (empty["covered"], empty["percent"]) == (0, 0)
    product = ok(checked.post("/sandbox/products", {}))["id"]
    worlds.webhook(checked, "http://127.0.0.1:9/", product)
    start = str(timeline.now())
    ok(checked.post("/sandbox/queue/samples", {"queue": "fulfillment", "product": product}))
    before = ok(checked.get("/sandbox/coverage"))
    assert before["products"] == [product] and rows(before)[CREATED]["seen"] == 1
    ok(checked.post("/sandbox/snapshots", {"name": "a", "patience": 0}))
    worlds.reset(checked, patience=0)
    assert checked.get(f"/sandbox/products/{product}").status == 404
    after = ok(checked.get("/sandbox/coverage"))
    assert [row["id"] for row in after["cases"]] == [row["id"] for row in before["cases"]]
    assert rows(after)[CREATED]["seen"] == 1
    ok(checked.post("/sandbox/snapshots/a/restore", {"patience": 0}))
    # Another product has its own cases.
    worlds.webhook(checked, "http://127.0.0.1:9/", PLAIN)
    worlds.purchase(distributor)
    both = ok(checked.get(f"/sandbox/coverage?since={start}"))
    assert both["products"] == sorted([product, PLAIN]) and rows(both)[CREATED]["seen"] == 2
    one = ok(checked.get(f"/sandbox/coverage?product={PLAIN}"))
    assert one["products"] == [PLAIN] and rows(one)[CREATED]["seen"] == 1
    assert not ok(checked.get(f"/sandbox/coverage?since={timeline.now()}"))["covered"]


def test_report_keeps_the_possible_cases_of_webhooks_that_are_gone(
    saved: Any, vendor: Caller, distributor: Caller
) -> None:
    def possible_ids() -> list[str]:
        return [row["id"] for row in ok(vendor.get("/sandbox/coverage"))["cases"]]

    # Nothing has happened: a product that outlives the reset, without its webhook.
    worlds.webhook(vendor, "http://127.0.0.1:9/", PLAIN)
    before = possible_ids()
    worlds.reset(vendor, patience=0)
    assert MISSING in before and possible_ids() == before
    hook = worlds.webhook(vendor, "http://127.0.0.1:9/", PLAIN)
    worlds.purchase(distributor)
    for step in (
        lambda: vendor.delete(f"/notifications/webhooks/{hook['id']}"),
        lambda: worlds.reset(vendor, patience=0),
    ):
        step()
        assert possible_ids() == before
    start = timeline.now()
    worlds.webhook(vendor, "http://127.0.0.1:9/", PLAIN)
    worlds.purchase(distributor)
    Webhook.objects.all().delete()
    # Before a reset, only the event tells of the webhook.
    found = ok(vendor.get(f"/sandbox/coverage?since={start}"))
    assert [row["id"] for row in found["cases"]] == before


def test_wrong_queries_are_refused(vendor: Caller) -> None:
    for query, status, text in (
        ("product=PRD-000-000-000", 404, "PRD-000-000-000"),
        ("stubs=php", 400, "pytest, node, shell"),
        ("since=x", 400, "not a cursor"),
        ("produkt=1", 400, "product"),
    ):
        response = vendor.get(f"/sandbox/coverage?{query}")
        assert response.status == status and text in str(response.json), response
        assert response.json["hint"]
    assert Caller("").get("/sandbox/coverage").status == 401


@pytest.mark.parametrize(
    ("missing", "case"),
    [
        ("event:fulfillment_request", CREATED),
        ("event:usage_file", "usage_file.ready.pending"),
        ("validator:validator", "validator.validator.ok"),
        ("ordering", "fulfillment_request.purchase.pending.inquiring"),
        ("required_ordering", "fulfillment_request.purchase.created.inquiring"),
        ("required_fulfillment", "api_error.VAL_001"),
        ("usage", "usage_file.ready.pending"),
        ("tiers", "tier_config_request.setup.created.pending"),
        ("tiers", "fulfillment_request.purchase.created.tiers_setup"),
        ("tier_ordering", "tier_config_request.setup.pending.inquiring"),
        ("tiers.configs.level2", "tier_config_request.setup.created.tiers_setup"),
        ("tiers.updates", "tier_account_request.update.pending.accepted"),
        ("cart.validation", "fulfillment_request.purchase.draft.pending"),
        ("subscription.hold", "fulfillment_request.suspend.created.pending"),
        ("subscription.renew.enable_renew", "fulfillment_request.renew.created.pending"),
        ("subscription.purchase.scheduling", "fulfillment_request.purchase.scheduled.pending"),
    ],
)
def test_case_is_impossible_without_a_feature(missing: str, case: str) -> None:
    assert case in possible.possible(FEATURES)
    assert case not in possible.possible([name for name in FEATURES if name != missing])


def test_features_of_a_product(saved: Any, vendor: Caller) -> None:
    parts = {
        "items": [{"mpn": "seat"}],
        "params": [{"name": "level", "scope": "tier1", "phase": "fulfillment"}],
        "capabilities": {"subscription": {"hold": False}},
    }
    full, small = (ok(vendor.post("/sandbox/products", body))["id"] for body in ({}, parts))
    worlds.webhook(vendor, "http://127.0.0.1:9/", small, type="validator")
    found = possible.features_of([full, small, "PRD-000-000-000"])
    assert found.keys() == {full, small}
    assert {"ordering", "required_fulfillment", "usage", "subscription.hold"} <= {*found[full]}
    assert not {"tiers", "required_ordering"} & {*found[full]}
    assert {"tiers", "validator:validator"} <= {*found[small]}
    assert not {"ordering", "usage", "subscription.hold", "tier_ordering"} & {*found[small]}


def test_each_case_has_texts_and_a_test_in_each_language_or_a_reason() -> None:
    found = every()
    assert len(found) > 200
    for case in found:
        assert case.text and recipes.sentence(case).endswith("."), case
        tests = {name: stubs.write(case, name) for name in stubs.LANGUAGES}
        is_left_out = WITHOUT_TEST.fullmatch(case.id) is not None
        assert [not test for test in tests.values()] == [is_left_out] * 3, case
        if tests["pytest"]:
            ast.parse(tests["pytest"])
    # Each pattern is that of a case.
    weights = {case.weight for case in found}
    assert {weight for _, weight in cases.WEIGHTS} - weights == set()


def test_actions_of_recipes_are_those_of_the_rules() -> None:
    for name, actions in recipes.ACTIONS.items():
        queue = base.find_queue(name)
        assert queue is not None
        for (before, after), (action, _) in actions.items():
            assert any(
                before in one.source and after in one.targets for one in queue.by_name[action]
            ), (name, action)


def test_faults_of_recipes_have_their_required_parameters() -> None:
    for kind in KINDS.values():
        for side in {*kind.sides} - {TASK}:
            steps = recipes.steps(cases.Case(f"{cases.FAULT}.{side}.{kind.name}"))
            given = [each.arguments[1] for each in steps if each.name == "fault"]
            required = {each.name for each in kind.parameters_of(side) if each.is_required}
            assert all(required <= parameters.keys() for parameters in given), kind.name


def test_page_has_the_weights() -> None:
    page = (ROOT / "docs" / "coverage.md").read_text()
    found = re.findall(r"^\| (\d+) \| `(\S+)` \|$", page, re.M)
    assert found == [(str(weight), pattern) for pattern, weight in cases.WEIGHTS]


def test_command_prints_table_stubs_and_unions(
    saved: Any, live_server: Any, vendor: Caller, tmp_path: Path
) -> None:
    worlds.webhook(vendor, "http://127.0.0.1:9/", PLAIN)
    keys = [vendor.key or ""] * 2
    sandbox_file.write(tmp_path, sandbox_file.Sandbox(live_server.url, *keys))

    def run(*arguments: str) -> str:
        return program.run("--data-dir", str(tmp_path), "coverage", *arguments)

    first = run("--json")
    ok(vendor.post("/sandbox/queue/samples", {"queue": "fulfillment", "product": PLAIN}))
    (tmp_path / "a.json").write_text(first)
    (tmp_path / "b.json").write_text(run("--json"))
    files = [option for name in "ab" for option in ("--merge", str(tmp_path / f"{name}.json"))]
    union = json.loads(run(*files, "--json"))
    assert union == summary.merge([json.loads(first), json.loads(run("--json"))])
    assert rows(union)[CREATED] == {**rows(json.loads(first))[CREATED], "seen": 1, "stub": None}
    table = run("--limit", "1").splitlines()
    assert re.match(r"Fulfillment requests +1 of \d+ +\d+(\.\d)? %$", table[1]), table
    assert table[-2].split() == [MISSING, "purchase:", "pending", "→", "approved"]
    glob = ("--case", "deliveries.[st]*", "--stubs")
    for language, count in (("pytest", "def test_"), ("node", "test('"), ("shell", "# deliv")):
        text = run(*glob, language)
        assert text.count(count) == 3 and text.startswith(stubs.LANGUAGES[language].head)
        assert text == run(*files, *glob, language)
    assert run("--case", "fault.api.hold", "--stubs", "node").endswith(
        "// fault.api.hold: Arm the fault hold with side api, and let a request match it.\n"
    )
    (tmp_path / "c.json").write_text('{"cases": 5}')
    (tmp_path / "e.json").write_text(first.replace("deliveries.triggered", "deliveries.unknown"))
    for options, text in (
        (("--merge", str(tmp_path / "c.json")), "not a report"),
        (("--merge", str(tmp_path / "e.json"), "--stubs", "node"), "not a report"),
        (("--case", "delivery.*"), "No case matches"),
        (("--merge", str(tmp_path / "d.json")), "cannot be read"),
        ((*files, "--product", PLAIN), "--merge is about reports"),
        (("--since", "x"), "not a cursor"),
    ):
        with pytest.raises(program.Failed, match=text) as failed:
            run(*options)
        assert failed.value.code == 2
