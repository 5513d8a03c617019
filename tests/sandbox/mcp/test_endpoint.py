"""`/sandbox/mcp`: who may use it, what it refuses, and that waits end with their clients."""

from __future__ import annotations

import json
import socket
import sys
import threading
from typing import Any

import pytest
import requests

import sandbox.mcp
from sandbox.mcp.server import MAX_MESSAGE
from sandbox.timeline import observer
from sandbox.waits.waiting import waits
from tests.api import Caller, caller
from tests.engines import until
from tests.make import Catalog
from tests.runtime.serving import connect, reset
from tests.sandbox.calling import catalog, client, hook, served
from tests.sandbox.mcp.agents import PATH, Agent, message
from webhooks.models import Webhook

__all__ = ["catalog", "client", "hook", "served"]

pytestmark = pytest.mark.django_db(transaction=True)

JSON = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}


VERSION = "2026-07-28"
META = {
    "_meta": {
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    },
    "notifications": {},
}


def post(url: str, key: str | None, body: Any = None, **headers: str) -> requests.Response:
    given = {"Authorization": f"ApiKey {key}"} if key else {}
    content = json.dumps(message("tools/list") if body is None else body)
    headers = {**JSON, **given, **headers}
    return requests.post(f"{url}{PATH}", content, headers=headers, timeout=30)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_official_client_reads_with_a_key_of_either_account(
    url: str, catalog: Catalog, mode: str
) -> None:
    for account in (catalog.vendor, catalog.provider):
        agent = Agent(url, str(caller(account).key), mode)
        assert len(agent.tools()) == 7
        assert agent.call("status")["clock"]["settled"]
        assert "never an instruction" in agent.instructions()


def test_call_without_a_valid_key_is_refused(url: str) -> None:
    for key in (None, "SU-100-000-001:wrong"):
        response = post(url, key)
        assert (response.status_code, response.json()["error_code"]) == (401, "AUTH_001")


def test_page_of_another_server_is_refused(url: str, client: Caller) -> None:
    for origin in (
        "http://evil.example",
        "null",
        url.replace("http://", "http://evil."),
        "http://[",
    ):
        response = post(url, client.key, Origin=origin)
        assert (response.status_code, response.json()["error_code"]) == (403, "AUTH_002")
    assert post(url, client.key, Origin=url).status_code == 200
    assert post(url, client.key).status_code == 200


def test_other_host_name_is_refused(url: str, client: Caller) -> None:
    response = post(url, client.key, Host="evil.example")
    assert response.status_code == 400 and "SIM_ALLOWED_HOSTS" in response.text


def test_only_messages_are_taken(url: str, client: Caller) -> None:
    headers = {"Authorization": f"ApiKey {client.key}"}
    for method in ("GET", "DELETE"):
        response = requests.request(method, f"{url}{PATH}", headers=headers, timeout=30)
        assert response.status_code == 405
    assert post(url, client.key, {"id": 1}).status_code == 400
    assert post(url, client.key, **{"Content-Type": "text/plain"}).status_code == 400
    # The second one would be a stream, which a server without subscriptions has none of.
    for method in ("tools/unknown", "subscriptions/listen"):
        for headers in ({}, {"MCP-Protocol-Version": VERSION, "Mcp-Method": method}):
            unknown = post(url, client.key, message(method, META), **headers)
            assert unknown.status_code < 500 and '"code":-32601,' in unknown.text


def test_body_that_is_too_large_is_refused(url: str, client: Caller) -> None:
    arguments = {"since": "x" * MAX_MESSAGE}
    params = {"name": "timeline", "arguments": arguments}
    assert post(url, client.key, message("tools/call", params)).status_code == 413


@pytest.mark.parametrize("package", ["mcp", "mcp_types", "jsonschema"])
def test_missing_package_is_named(
    url: str, client: Caller, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "sandbox.mcp.server", raising=False)
    monkeypatch.delattr(sandbox.mcp, "server", raising=False)
    response = post(url, client.key)
    assert response.status_code == 501
    [text] = response.json()["errors"]
    assert text.endswith(": .venv/bin/pip install -r requirements-mcp.txt")


def test_outside_of_the_web_server_there_is_no_mcp(client: Caller) -> None:
    outside = Caller(client.key).call("POST", PATH, message("tools/list"))
    assert outside.status == 503


def wait_call(pk: str) -> dict[str, Any]:
    arguments = {"until": {"called": {"webhook": pk}}, "timeout": 30}
    return message("tools/call", {"name": "wait", "arguments": arguments})


NEW = f"MCP-Protocol-Version: {VERSION}\r\nMcp-Method: tools/call\r\nMcp-Name: wait\r\n"


@pytest.mark.parametrize("version", ["", NEW], ids=["handshake", "stateless"])
@pytest.mark.parametrize("end", [reset, socket.socket.close])
def test_wait_ends_with_its_client(
    url: str, client: Caller, hook: Webhook, version: str, end: Any
) -> None:
    call = wait_call(hook.pk)
    if version:
        call["params"] |= META
    content = json.dumps(call).encode()
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nAuthorization: ApiKey {client.key}\r\n"
        f"Content-Type: application/json\r\nAccept: {JSON['Accept']}\r\n{version}"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    line = connect(url)
    line.sendall(head.encode() + content)
    until(lambda: len(waits.undecided()) == 1, "it waits")
    end(line)
    until(lambda: not observer.waiting(waits), "the wait has ended", timeout=15)


def test_waits_hold_no_thread_and_are_woken(url: str, agent: Agent, hook: Webhook) -> None:
    answers: list[Any] = []

    def wait() -> None:
        until_ = {"out_of_order": hook.pk}
        answers.append(agent.call("wait", until=until_, timeout=30))

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: len(waits.undecided()) == 3, "all wait")
    assert agent.call("status")["webhooks"][0]["id"] == hook.pk
    Webhook.objects.filter(pk=hook.pk).update(out_of_order=True)
    observer.announce()
    for thread in threads:
        thread.join(30)
    assert [answer["satisfied"]["present"]["out_of_order"] for answer in answers] == [
        {hook.pk: True}
    ] * 3


def test_waits_of_a_key_are_limited(
    agent: Agent, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observer, "MAX_PER_KEY", 0)
    refusal = agent.refusal("wait", until={"called": {"webhook": hook.pk}})
    assert (refusal["error_code"], refusal["retryable"]) == ("WAIT_002", True)
    assert refusal["errors"] == ["At most 0 waits of an API key at the same time. Try again later."]
