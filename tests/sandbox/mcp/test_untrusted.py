"""Texts from outside are in fields that the schema marks, in results of tools and in `--json`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from checks import sandbox_file
from checks.model import Exhibit, Outcome, Verdict
from checks.outputs import json_report
from checks.sandbox_file import Sandbox
from sandbox import check_runs
from sandbox.clock import moves
from sandbox.mcp import server, tools
from sandbox.models import CheckRun
from tests import engines, make, program
from tests.api import Caller, caller
from tests.handlers import ReceivedRequest, Response, handler
from tests.make import Catalog
from tests.sandbox.calling import catalog, client
from tests.sandbox.mcp.agents import Agent
from tests.sandbox.mcp.canaries import ASCII, ENCODINGS, Texts, canary, found, word
from tests.unit.checks import reports
from webhooks.delivery.engine import Engine
from webhooks.models import Delivery, Webhook

__all__ = ["catalog", "client"]

pytestmark = pytest.mark.django_db(transaction=True)

# Where the canaries are, and in which encodings.
PLACES = {
    "response-body": ENCODINGS,
    "response-header": ASCII,
    "redirect": ["plain", "percent"],
    "label": ENCODINGS,
    "url": ["plain", "percent"],
    "data": ENCODINGS,
    "parameter": ENCODINGS,
    "message": ENCODINGS,
    "file": ENCODINGS,
    "path": ENCODINGS,
    "query": ASCII,
    "agent": ASCII,
    "refused": ENCODINGS,
    # A sentence about its response has at most 1,000 characters.
    "validator": ["plain", "base64", "invisible"],
    "hold": ["plain", "base64"],
    "fault": ["plain", "base64"],
    "check": ENCODINGS,
}
WORDS = {word(place, each) for place, encodings in PLACES.items() for each in encodings}


@dataclass
class Planted:
    """A sandbox full of canaries: an agent, its webhooks, and an order."""

    agent: Agent
    working: Webhook
    failing: Webhook
    order: str


@pytest.fixture
def planted(
    url: str, client: Caller, catalog: Catalog, engine: Engine, settings: Any
) -> Iterator[Planted]:
    """The sandbox after a delivery for each encoding that succeeded, and one that failed."""
    settings.SIM_ALLOW_CHANGES = True
    make.parameter(catalog, "note")
    orders = {each: _order(catalog, each) for each in ENCODINGS}
    headers = {"Authorization": f"ApiKey {client.key}"}

    def call(method: str, path: str, body: Any = None, **more: str) -> None:
        requests.request(
            method, f"{url}/public/v1{path}", json=body, headers={**headers, **more}, timeout=30
        )

    def work(request: ReceivedRequest) -> Response:
        """Put canaries into the API, and respond with others."""
        kind, encoding = request.path.split("/")[1:3]
        if kind == "validate":
            body = request.json
            body["asset"]["params"] += [
                {"id": canary("validator", each)} for each in PLACES["validator"]
            ]
            return 200, json.dumps(body).encode()
        if kind == "fail":
            given = encoding if encoding in PLACES["redirect"] else "plain"
            return 302, b"", {"Location": f"http://127.0.0.1:9/{quote(canary('redirect', given))}"}
        ascii_ = encoding if encoding in ASCII else "plain"
        order, agent = orders[encoding], {"User-Agent": canary("agent", ascii_)}
        call("GET", f"/requests/{order}?eq(id,{quote(canary('query', ascii_))})", **agent)
        call("GET", f"/requests/{order}", **agent)
        call("POST", f"/requests/{order}/{quote(canary('path', encoding), safe='')}")
        call("POST", f"/requests/{order}/approve", {"template_id": canary("refused", encoding)})
        body = {"params": [{"id": canary("refused", encoding), "value": "x"}]}
        call("PUT", f"/requests/{order}", {"asset": body})
        call("POST", f"/conversations/{order}/messages", {"text": canary("message", encoding)})
        call("POST", "/usage/files", {"name": canary("file", encoding), "contract": {"id": order}})
        header = {"X-Note": canary("response-header", ascii_)}
        return 200, canary("response-body", encoding).encode(), header

    with handler(work) as served:
        hooks = [
            _webhook(catalog, served.url, kind, each, n)
            for n, (kind, each) in enumerate(
                ((k, e) for k in ("work", "fail") for e in ENCODINGS), 1
            )
        ]
        for each in PLACES["fault"]:
            name, parameters = canary("fault", each), {"ms": 1}
            body = {"kind": "latency", "side": "delivery", "name": name, "parameters": parameters}
            assert client.post("/sandbox/faults", body).status == 201
        for hook in hooks:
            assert client.post(f"/notifications/webhooks/{hook.pk}/trigger").status == 200
        engines.until(lambda: _attempts(hooks), "each webhook has an attempt")
        for each in PLACES["hold"]:
            body = {"note": canary("hold", each), "ttl": 3600}
            assert client.post("/sandbox/holds", body).status == 201
        _checks(hooks[0])
        _validate(catalog, served.url)
        yield Planted(Agent(url, str(client.key)), hooks[0], hooks[len(ENCODINGS)], orders["plain"])


def _order(catalog: Catalog, encoding: str) -> str:
    params = [{"id": "note", "value": canary("parameter", encoding)}]
    return make.order(catalog, asset={"params": params}).pk


def _webhook(catalog: Catalog, url: str, kind: str, encoding: str, n: int) -> Webhook:
    given = encoding if encoding in PLACES["url"] else "plain"
    return make.webhook(
        catalog,
        f"{url}{kind}/{encoding}/{quote(canary('url', given))}",
        n,
        label=canary("label", encoding)[:100],
        data={"note": canary("data", encoding)},
    )


def _validate(catalog: Catalog, url: str) -> None:
    """Let a validator respond."""
    catalog.product.capabilities = {"cart": {"validation": True}}
    catalog.product.save()
    make.webhook(catalog, f"{url}validate/plain/", 99, type="validator")
    distributor = caller(catalog.provider)
    draft = distributor.post("/requests", make.purchase(catalog, status="draft"))
    assert distributor.post(f"/requests/{draft.json['id']}/validate").status == 200


def _attempts(hooks: list[Webhook]) -> bool:
    rows = Delivery.objects.filter(webhook__in=hooks, attempts__gte=1)
    return rows.values("webhook").distinct().count() == len(hooks)


def _checks(hook: Webhook) -> None:
    """Store a run of checks whose failures quote the handler."""
    text = " ".join(canary("check", each) for each in ENCODINGS)
    verdict = Verdict(Outcome.FAIL, text, (Exhibit(text, (text,)),), text)
    report = reports.mixed(error=text, output=text, notes=(text,), target=text)
    results = tuple(
        replace(each, verdict=verdict, reproduce=text) if each.verdict.evidence else each
        for each in report.results
    )
    report = replace(report, results=results)
    progress = {
        "checks": ["auth.garbage"],
        "results": [
            {"check": "auth.garbage", "title": "Refused", "level": "MUST", "mark": "fail",
             "text": text, "seconds": 1.0}
        ],
    }  # fmt: skip
    run = check_runs.begin(hook, {}, "alice")
    ending = check_runs.Ending(CheckRun.FINISHED, json_report.render(report), 1, text)
    assert check_runs.end(run.pk, progress, ending)


def shown(texts: Texts) -> set[str]:
    """Return the words in marked fields; none, and no piece, may be in another one."""
    for text in texts.others:
        assert not found(text), text
    return {piece for text in texts.marked for piece in found(text)} & WORDS


def test_canaries_are_found_in_each_encoding_and_in_pieces() -> None:
    assert len(WORDS) >= 40
    for place, encodings in PLACES.items():
        for each in encodings:
            assert word(place, each) in found(f'{{"a": "{canary(place, each)}"}}')
            length = len(text := canary(place, each))
            assert found(text[length // 4 : length * 3 // 4]), (place, each)


def test_results_of_tools_have_canaries_in_marked_fields_only(
    planted: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moves, "PATIENCE", 0.05)
    monkeypatch.setattr(server, "MOST", 10_000_000)
    agent, known, texts = planted.agent, planted.agent.tools(), Texts()
    ids = [each["id"] for each in agent.call("search_deliveries", limit=50)["deliveries"]]
    calls: list[tuple[str, dict[str, Any]]] = [
        ("status", {}),
        ("search_deliveries", {"limit": 50}),
        *(("explain_delivery", {"delivery": pk}) for pk in ids),
        ("timeline", {"limit": 1000}),
        ("wait", {"until": {"delivered": {"webhook": planted.failing.pk}}, "timeout": 0}),
        ("wait", {"until": {"delivered": {"webhook": planted.working.pk}}, "timeout": 0}),
        ("wait", {"until": {"status": {"object": planted.order, "is": "approved"}}, "timeout": 0}),
        ("check_results", {"check": "auth.garbage"}),
        ("forecast", {"webhook": planted.failing.pk}),
        ("change", {"action": "create_sample", "queue": "fulfillment_request"}),
        ("change", {"action": "send_again", "delivery": ids[0]}),
        ("change", {"action": "advance_clock", "by": "10m"}),
        ("change", {"action": "next_attempt"}),
        ("timeline", {"limit": 1000}),
    ]
    for name, arguments in calls:
        texts.add(known[name].output_schema, agent.call(name, **arguments))
    assert {name for name, _ in calls} == known.keys()
    assert shown(texts) == WORDS


def test_errors_of_tools_have_canaries_in_marked_fields_only(planted: Planted) -> None:
    agent, text, texts = planted.agent, canary("refused", "plain"), Texts()
    schema = tools.with_definitions({"$ref": "#/$defs/Error"})
    Webhook.objects.update(active=False)
    pk = agent.call("search_deliveries")["deliveries"][0]["id"]
    calls: list[tuple[str, dict[str, Any]]] = [
        ("explain_delivery", {"delivery": 999_999}),
        ("forecast", {"webhook": "WH-999-999-999"}),
        ("wait", {"until": {"status": {"object": planted.order, "is": "unknown"}}}),
        ("search_deliveries", {"object": "PR-1"}),
        ("change", {"action": "create_sample", "queue": "usage_file"}),
        ("change", {"action": "create_sample", "queue": "fulfillment_request", "type": "gift"}),
        ("change", {"action": "send_again", "delivery": pk}),
        ("change", {"action": "start_checks", "webhook": planted.working.pk, "select": ["no.one"]}),
        # Arguments may be copied from outside.
        (text, {}),
        ("status", {text: 1}),
        ("timeline", {"since": text}),
        ("search_deliveries", {"object": text}),
        ("wait", {"until": {text: True}}),
        ("change", {"action": "create_sample", "queue": text}),
    ]
    for name, arguments in calls:
        texts.add(schema, agent.refusal(name, **arguments))
    assert shown(texts) == {word("refused", "plain")}


# Commands with --json, and the operation whose answer they print.
COMMANDS: list[tuple[str, str, str, int]] = [
    ("clock show", "get", "/sandbox/clock", 200),
    ("clock advance 10m --patience 0", "post", "/sandbox/clock/advance", 200),
    ("deliveries list", "get", "/sandbox/deliveries", 200),
    ("timeline", "get", "/sandbox/timeline", 200),
    ("timeline --limit 1000", "get", "/sandbox/timeline", 200),
    ("wait delivered {failing} --timeout 0", "post", "/sandbox/wait", 408),
    ("wait status {order} approved --timeout 0", "post", "/sandbox/wait", 408),
    ("wait delivered {working}", "post", "/sandbox/wait", 200),
    ("forecast {failing}", "get", "/sandbox/webhooks/{id}/forecast", 200),
    ("queue add fulfillment", "post", "/sandbox/queue/samples", 201),
]


def test_json_of_commands_has_canaries_in_marked_fields_only(
    planted: Planted, tmp_path: Path
) -> None:
    key = planted.agent.key
    sandbox_file.write(tmp_path, Sandbox(planted.agent.url, key, key, planted.agent.url, ""))
    names = {
        "failing": planted.failing.pk,
        "working": planted.working.pk,
        "order": planted.order,
    }
    texts = Texts()

    def add(command: str, method: str, path: str, status: int) -> Any:
        words = command.format(**names).split()
        try:
            printed = program.run(*words, "--json", "--data-dir", str(tmp_path))
        except program.Failed as failed:
            assert status == 408 and failed.code == 1, failed
            printed = failed.out
        content = json.loads(printed)
        call = tools.Call(method, path, keys={status: ""})
        texts.add(tools.with_definitions(call.answers[""]), content)
        return content

    for row in COMMANDS:
        add(*row)
    for each in add("deliveries list", "get", "/sandbox/deliveries", 200)["deliveries"]:
        add(f"deliveries show {each['id']}", "get", "/sandbox/deliveries/{id}", 200)
    items = {"hold list": "/sandbox/holds", "snapshot list": "/sandbox/snapshots"}
    for command, path in items.items():
        add(command, "get", path, 200)
    add("fault list", "get", "/sandbox/faults", 200)
    checked = {word("check", each) for each in ENCODINGS}
    # No command prints the runs that the portal starts; `check --json` is below.
    assert shown(texts) >= WORDS - checked - {word("label", each) for each in ENCODINGS}


def test_report_of_checks_has_canaries_in_marked_fields_only(planted: Planted) -> None:
    texts = Texts()
    texts.add(json.loads(json_report.SCHEMA.read_text()), json.loads(CheckRun.objects.get().report))
    assert shown(texts) == {word("check", each) for each in ENCODINGS}
