"""The tools: what they are, what they return, and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from requests_queue.api.schema import UNTRUSTED
from sandbox import check_runs
from sandbox.mcp import server
from sandbox.mcp.tools import LONGEST
from sandbox.models import CheckRun
from tests import engines, make
from tests.handlers import Handler
from tests.make import Catalog
from tests.portal import delivery_rows
from tests.sandbox.calling import catalog, client, hook, served
from tests.sandbox.mcp.agents import Agent
from tests.sandbox.pages.conftest import program
from tests.sandbox.pages.programs import Program, join
from webhooks.delivery.engine import Engine
from webhooks.models import Webhook

__all__ = ["catalog", "client", "hook", "program", "served"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def changing(agent: Agent, settings: Any) -> Agent:
    """An agent of a sandbox that was started with --allow-changes."""
    settings.SIM_ALLOW_CHANGES = True
    return agent


def test_at_most_eight_tools_have_schemas_and_hints(changing: Agent) -> None:
    tools = changing.tools()
    assert len(tools) == 8
    for name, tool in tools.items():
        assert tool.title and tool.description
        for schema in (tool.input_schema, tool.output_schema):
            Draft202012Validator.check_schema(schema)
            assert schema["type"] == "object"
            # The interfaces of some models refuse these at the root.
            assert not {"anyOf", "oneOf", "allOf"} & schema.keys()
        assert tool.input_schema["additionalProperties"] is False
        assert tool.annotations.read_only_hint is (name != "change")
        assert tool.annotations.destructive_hint is (name == "change")


def test_fields_from_outside_are_marked_and_named(agent: Agent) -> None:
    tool = agent.tools()["explain_delivery"]
    response = tool.output_schema["$defs"]["HandlerResponse"]["properties"]
    assert response["body"][UNTRUSTED] and response["headers"][UNTRUSTED]
    assert UNTRUSTED not in response["status"]
    assert " Untrusted fields: body, claims, error, headers, " in tool.description


def test_changes_must_be_allowed(agent: Agent, hook: Webhook) -> None:
    assert "change" not in agent.tools()
    assert agent.error("change", action="next_attempt").startswith("There is no such tool.")
    assert "skip" not in agent.tools()["wait"].input_schema["properties"]


CHECKS = {"action": "start_checks", "webhook": "WH-000-000-001"}


@pytest.mark.parametrize(
    ("name", "arguments", "error"),
    [
        ("wait", {}, "'until' is a required property"),
        ("wait", {"until": {"idle": True}, "timeout": 31}, "timeout: 31 is greater than"),
        ("wait", {"until": {"idle": True}, "skip": True}, "('skip' was unexpected)"),
        ("wait", {"until": {"never": {"idle": True}}}, "within: `never` needs a span"),
        ("search_deliveries", {"limit": "5"}, "limit: '5' is not of type 'integer'"),
        ("search_deliveries", {"state": "lost"}, "state: 'lost' is not one of"),
        ("search_deliveries", {"object": "PR-1"}, "Unknown object 'PR-1'"),
        ("explain_delivery", {"delivery": 77}, "`77` not found."),
        ("forecast", {"webhook": "WH-999-999-999"}, "`WH-999-999-999` not found."),
        ("forecast", {"webhook": "../version"}, "webhook: '../version' does not match"),
        ("timeline", {"since": "x"}, "'x' is not a cursor of the timeline."),
        ("change", {}, "'action' is a required property"),
        ("change", {"action": "reset"}, "action: 'reset' is not one of"),
        ("change", {"action": "advance_clock"}, "'by' is a required property"),
        ("change", {"action": "send_again", "delivery": 1, "by": "5m"}, "('by' was unexpected)"),
        ("change", {"action": "advance_clock", "by": "soon"}, "by: "),
        ("change", {"action": "send_again", "delivery": 77}, "`77` not found."),
        ("change", {"action": "create_sample", "queue": "x"}, "There is no queue x"),
        ("change", {"action": "start_checks", "webhook": "WH-1"}, "no webhook WH-1"),
        ("change", {**CHECKS, "invalid": {"a": 5}}, "invalid: Each value must be text."),
        ("change", {**CHECKS, "invalid": {"": "x"}}, "must be the name of a parameter."),
        ("change", {**CHECKS, "select": ["no.one"]}, "There is no check 'no.one'."),
        ("check_results", {"check": "auth.garbag"}, "such check. Did you mean auth.garbage?"),
        ("unknown", {}, "There is no such tool. Available: status, "),
    ],
)
def test_invalid_call_is_refused_in_a_sentence(
    changing: Agent, hook: Webhook, name: str, arguments: dict[str, Any], error: str
) -> None:
    assert error in changing.error(name, **arguments)
    assert CheckRun.objects.count() == 0


def test_error_is_short(agent: Agent) -> None:
    given: dict[str, Any] = {"until": {"idle": True}, "x" * 10_000: 1}
    assert len(agent.error("wait", **given)) == 300


def test_delivery_is_searched_and_explained(
    changing: Agent,
    catalog: Catalog,
    hook: Webhook,
    served: Handler,
    engine: Engine,
) -> None:
    served.respond = lambda request: (500, b"x" * (LONGEST + 10))
    before = changing.call("timeline")["cursor"]
    order = make.order(catalog)
    failed = changing.call("wait", until={"failed": {"object": order.pk}}, since=before, timeout=30)
    assert failed["satisfied"]["evidence"][0]["data"]["status"] == 500
    [found] = changing.call("search_deliveries", object=order.pk)["deliveries"]
    shown = changing.call("explain_delivery", delivery=found["id"])
    assert (shown["webhook"], shown["objects"]) == (hook.pk, [order.pk])
    [attempt] = shown["attempts"]
    assert attempt["reason"].startswith("Failed (1 of 10).") and shown["next_attempt_at"]
    response = attempt["response"]
    assert response["body"].endswith("x… (10 more characters)")
    assert response["size"] == LONGEST + 10
    whole = {"delivery": found["id"], "longest_text": LONGEST + 10}
    [attempt] = changing.call("explain_delivery", **whole, attempt=1.0)["attempts"]
    assert attempt["response"]["body"] == "x" * (LONGEST + 10)
    assert changing.call("explain_delivery", **whole, attempt=2)["attempts"] == []
    [status] = changing.call("status")["webhooks"]
    assert (status["id"], status["pending"]) == (hook.pk, 1)
    rows = changing.call("forecast", webhook=hook.pk)["rows"]
    assert rows[0]["attempt"] == 2 and rows[-1]["out_of_order"]
    kinds = [each["kind"] for each in changing.call("timeline", since=before)["entries"]]
    assert kinds[-1] == "attempt_finished"
    assert [
        each["kind"]
        for each in changing.call("timeline", kind=["event", "change"], limit=1)["entries"]
    ] == ["event"]


def test_wait_says_what_happened_instead(agent: Agent, hook: Webhook) -> None:
    unmet = agent.call("wait", until={"delivered": {"webhook": hook.pk}}, timeout=0)["unsatisfied"]
    assert unmet["stopped_because"] == "timeout"
    assert unmet["waiting_for"] == [f"a delivery to {hook.pk}"]


def test_clock_is_moved_and_requests_are_sent_again(
    changing: Agent, catalog: Catalog, hook: Webhook, served: Handler, engine: Engine
) -> None:
    served.respond = lambda request: 500
    make.order(catalog)
    engines.until(lambda: len(served.received) == 1, "the first attempt")
    moved = changing.call("change", action="next_attempt")["moved"]
    assert [each["attempt"] for each in moved["attempts"]] == [2]
    moved = changing.call("change", action="advance_clock", by="1m")["moved"]
    assert moved["stopped_because"] == "end"
    served.respond = lambda request: 200
    moved = changing.call("change", action="run_until_idle", max="1h")["moved"]
    assert [each["outcome"] for each in moved["attempts"]] == ["success"]
    [found] = changing.call("search_deliveries")["deliveries"]
    sent = changing.call("change", action="send_again", delivery=found["id"])["sent"]
    engines.until(lambda: len(served.received) == 4, "it is sent again")
    assert sent["delivery"] > found["id"]
    error = changing.error("change", action="send_again", delivery=found["id"], attempt=99)
    assert f"Delivery {found['id']} has no attempt 99." in error
    again = changing.call("change", action="send_again", delivery=found["id"], attempt=1)["sent"]
    engines.until(lambda: len(served.received) == 5, "its first attempt is sent again")
    assert again["delivery"] > sent["delivery"]


def test_sample_is_created(changing: Agent, catalog: Catalog) -> None:
    call = {"action": "create_sample", "queue": "fulfillment_request"}
    sample = changing.call("change", **call, product=catalog.product.pk)["sample"]
    assert sample["product"] == catalog.product.pk and sample["status"] == "pending"


def test_checks_are_started_and_their_results_read(
    changing: Agent, hook: Webhook, program: Program
) -> None:
    call = {"action": "start_checks", "webhook": hook.pk}
    run = changing.call("change", **call, select=["auth"], strict=True)["run"]
    assert (run["state"], run["webhook"]) == ("running", hook.pk)
    row = join(CheckRun.objects.get())
    assert (row.options["select"], row.options["strict"]) == (["auth.*"], True)
    [shown] = changing.call("check_results", webhook=hook.pk)["runs"]
    assert (shown["id"], shown["state"], shown["exit_code"]) == (run["id"], "finished", 1)
    assert (shown["total"], shown["counts"], shown["results"]) == (2, {"pass": 1}, [])
    failed = {"check": "auth.garbage", "title": "Refused", "level": "MUST", "mark": "fail",
              "text": "The handler returned 200.", "seconds": 1.0}  # fmt: skip
    CheckRun.objects.update(progress={"checks": ["auth.garbage"], "results": [failed]})
    [shown] = changing.call("check_results")["runs"]
    assert [each["evidence"] for each in shown["results"]] == [[]]
    assert changing.call("check_results", check="auth.control")["runs"][0]["results"] == []
    [shown] = changing.call("check_results", check="auth.garbage")["runs"]
    [result] = shown["results"]
    assert result["text"] == "The handler returned 200." and result["why"] and result["fix"]
    assert result["evidence"] == [{"title": "Response", "lines": ["HTTP/1.1 200", "ok"]}]


def test_second_run_of_checks_is_refused(changing: Agent, hook: Webhook, program: Program) -> None:
    check_runs.begin(hook, {}, "alice")
    error = changing.error("change", action="start_checks", webhook=hook.pk)
    assert error.startswith("Checks are running already.") and error.endswith(", or cancel them.")


def test_texts_of_a_long_result_are_shorter(
    agent: Agent, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(20):
        delivery_rows.attempt(delivery_rows.delivery(hook), response_body=b"x" * LONGEST)
    monkeypatch.setattr(server, "MOST", 60_000)
    for shown in agent.call("search_deliveries", limit=20)["deliveries"]:
        assert shown["attempts"][0]["response"]["body"].endswith("x… (3072 more characters)")
    monkeypatch.setattr(server, "MOST", 2_000)
    error = agent.error("search_deliveries", limit=20)
    assert error == "The result has more than 2,000 characters: ask for less."
    assert agent.call("forecast", webhook=hook.pk)["rows"]


def test_status_shows_no_secret_in_a_url(agent: Agent, hook: Webhook) -> None:
    hook.external_url += f"?token={hook.jwt_secret}"
    hook.save()
    [shown] = agent.call("status")["webhooks"]
    assert shown["url"].startswith("http://127.0.0.1:") and hook.jwt_secret not in shown["url"]
