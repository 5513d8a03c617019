"""The image's command without Docker, in a folder of only what the Dockerfile copies; its docs."""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import socket
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from django.core.exceptions import ImproperlyConfigured

from checks import sandbox_file
from connect_sim import data_folder, data_lock, web
from tests import doc_blocks
from tests.e2e.running_image import PUBLISHED, SECRET, Running, key, run, running, write_docker
from tests.handlers import Handler, handler
from tests.image import Container
from tests.processes import ROOT, free_port, output
from tests.webhooks.certificates import Authority

__all__ = ["running"]

PAGES = ("docs/containers.md", "docs/troubleshooting.md")
# Shell blocks of the pages that are not run, and why.
NOT_RUN = {
    "build": "builds an image, which needs a Docker engine",
    "run": "starts a container; its command is run by the fixture `running`",
    "keys": "starts a container; the fixture `running` gives these keys",
    "listen": "runs until Ctrl-C; tests/e2e/test_first_two_minutes.py runs it",
    "host": "starts a container",
    "compose": "starts containers",
    "port": "starts a container; the fixture `running` sets SIM_PUBLIC_URL too",
    "names": "starts a container",
    "https": "starts a container; test_handlers_with_https sets SIM_CA_FILE too",
}


# --- the image ----------------------------------------------------------------------------------


def test_start_writes_to_the_data_folder_only(running: Running) -> None:
    running.order()
    written = {path for path in running.container.root.rglob("*") if path.is_file()}
    new = written - running.files
    assert new and all(running.container.data_dir in path.parents for path in new)


def test_start_prints_the_published_address_and_how_to_reach_the_host(running: Running) -> None:
    printed = running.sandbox.process.printed
    assert f"running at {PUBLISHED}\n" in printed
    assert re.search(rf"Sign in +{PUBLISHED}/sign-in/\S+", printed)
    assert re.search(rf"API +{PUBLISHED}/public/v1$", printed, re.M)
    assert "http://host.docker.internal:9000/" in printed
    assert "--add-host=host.docker.internal:host-gateway" in printed
    assert f"call back {PUBLISHED} (SIM_API_URL)" in printed
    assert running.sandbox.url not in printed


def test_commands_in_the_container_use_the_address_that_it_listens_on(running: Running) -> None:
    file = json.loads((running.container.data_dir / "sandbox.json").read_text())
    assert (file["url"], file["local_url"]) == (PUBLISHED, running.sandbox.url)
    assert "ahead" in running.program("clock", "advance", "1m") + running.program("clock", "show")


def test_health_check_tells_a_running_process_from_none(running: Running) -> None:
    probe = running.container.stage.probe
    assert run(running.container, *probe).returncode == 0
    other = Container(
        running.container.root, running.container.stage, {"SIM_BIND": f"[::]:{free_port()}"}
    )
    failed = run(other, *probe)
    assert failed.returncode == 1 and failed.stdout.startswith("No response: ")
    unknown = run(running.container, *probe[:-1], "/nowhere/")
    assert unknown.returncode == 1 and unknown.stdout.startswith("404 ")


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost", 401), ("connect-sim:8000", 401), ("sandbox:8000", 401), ("127.0.0.1:1", 401),
     ("host.docker.internal:8000", 401), ("evil.example", 400), ("sandbox.evil.example", 400),
     ("172.17.0.2:8000", 400)],
)  # fmt: skip
def test_only_exact_host_names_are_accepted(running: Running, host: str, status: int) -> None:
    url = running.sandbox.url
    response = requests.get(f"{url}/public/v1/requests", headers={"Host": host}, timeout=10)
    assert response.status_code == status
    # A probe of an orchestrator calls an address.
    for path in ("/healthz", "/readyz"):
        assert requests.get(f"{url}{path}", headers={"Host": host}, timeout=10).ok


def test_handlers_with_https_are_called_and_told_the_published_address(running: Running) -> None:
    tls = running.authority.server("127.0.0.1")
    with handler(lambda request: (200, request.body), tls) as secure:
        assert secure.url.startswith("https://")
        event = running.webhook(external_url=secure.url)
        suite = {"product_id": "PRD-362-917-440", "external_url": secure.url}
        validator = running.webhook(type="validator", **suite)
        running.order()
        received = secure.next()
        assert received.json["api_url"] == f"{PUBLISHED}/public/v1"
        claims = jwt.decode(received.token, SECRET, ["HS256"])
        assert (claims["webhook_id"], claims["api_url"]) == (event, f"{PUBLISHED}/public/v1")
        running.delete(event)
        draft = running.order("PRD-362-917-440", draft=True)
        validated = running.post("/sandbox/queue/validate", {"id": draft})
        assert validated.json()["called"], validated.text
        assert secure.next().json["id"] == draft
        running.delete(validator)


def test_sandbox_is_ready_after_a_reset(running: Running) -> None:
    running.post("/sandbox/reset", {})
    ready = requests.get(f"{running.sandbox.url}/readyz?wait=5", timeout=10)
    assert ready.json() == {"ready": True, "missing": []}


# --- the pages ----------------------------------------------------------------------------------


SHELL = doc_blocks.read("sh", PAGES[0])


def test_each_block_is_run_or_left_out_for_a_reason() -> None:
    run = {"commands", "sandbox-json", "ready", "webhook"}
    doc_blocks.check_all_run(SHELL, run, NOT_RUN)


@pytest.mark.parametrize("name", [name for name in SHELL if name not in NOT_RUN])
def test_block_runs_as_it_stands(running: Running, tmp_path: Path, name: str) -> None:
    write_docker(tmp_path, running.container)
    with handler() as called:
        # What differs here: the published port, and the network of the handler.
        block = SHELL[name].replace("http://localhost:8000", running.sandbox.url)
        block = block.replace("http://handler:9000/", called.url)
        printed = output(["sh", "-eu", "-c", block], {"PATH": f"{tmp_path}:/usr/bin:/bin"})
        check_block(name, printed, called)
    for row in running.sandbox.as_vendor("GET", "/notifications/webhooks"):
        running.delete(row["id"])


def check_block(name: str, printed: str, called: Handler) -> None:
    match name:
        case "commands":
            assert re.match(r"PR-\S+ pending", printed)
        case "sandbox-json":
            assert json.loads(printed)["vendor_api_key"] == key("VENDOR")
        case "ready":
            assert json.loads(printed) == {"ready": True, "missing": []}
        case "webhook":
            assert called.next().method == "POST"
            assert "delivered" in printed


def test_readme_has_commands_of_the_page() -> None:
    """But for the last word, which is the name of the image once it is published."""
    lines = doc_blocks.read("sh", "README.md")["docker"].splitlines()
    page = "".join(SHELL.values())
    assert len(lines) <= 3 and all(f"{line.rpartition(' ')[0]} " in page for line in lines)


def test_options_of_docker_name_what_exists() -> None:
    variables = {*re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.M)}
    for name, block in SHELL.items():
        words = shlex.split(block.replace("\\\n", " "), comments=True)
        pairs = [*itertools.pairwise(words)]
        given = {after.partition("=")[0] for word, after in pairs if word == "-e"}
        assert variables >= given, name
        files = [after for word, after in pairs if word == "-f"]
        assert all((ROOT / file).exists() for file in files), name


# --- messages of troubleshooting.md ---------------------------------------------------------------


MESSAGES = doc_blocks.read("text", *PAGES)


def quoted(name: str, printed: str) -> None:
    """Check that the page quotes what was printed, `…` standing for what differs."""
    [line] = MESSAGES[name].splitlines()
    pattern = re.escape(line).replace("…", ".+").replace(r"127\.0\.0\.1:8000", r"\S+")
    pattern = pattern.replace(r"127\.0\.0\.1:8001", r"\S+")
    assert re.search(pattern, printed), printed[-2000:]


def test_taken_port_is_quoted(settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings.SIM_BIND = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(web.PortTaken) as raised:
            web.Web(lambda *_: [], 1)
    quoted("port", str(raised.value))


def test_data_folder_in_use_is_quoted(running: Running) -> None:
    ended = run(running.container, *running.container.stage.entry, *running.container.stage.command)
    assert ended.returncode == 1
    quoted("in-use", ended.stderr)


def test_key_that_others_may_write_is_quoted(tmp_path: Path) -> None:
    (tmp_path / "secret_key").write_text("a key")
    (tmp_path / "secret_key").chmod(0o666)
    with pytest.raises(ImproperlyConfigured) as raised:
        data_folder.key(tmp_path / "secret_key")
    quoted("key", f"Error: {raised.value}")


def test_deleted_database_is_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "_exit", lambda code: None)
    with (tmp_path / "other").open("w") as other:
        data_lock.exit_without(tmp_path / "connect.sqlite3", other.fileno())
    quoted("deleted", capsys.readouterr().err)


def test_start_with_an_invalid_setting_is_quoted(running: Running) -> None:
    given = {**running.container.given, "SIM_CA_FILE": "/nowhere/ca.pem"}
    wrong = Container(running.container.root, running.container.stage, given)
    ended = run(wrong, *wrong.stage.entry, *wrong.stage.command)
    assert ended.returncode != 0
    quoted("setting", ended.stderr)


def test_messages_about_calls_are_quoted(running: Running) -> None:
    authority = Authority(running.authority.pem.parent, "Unknown")
    with (
        handler(401) as refusing,
        handler(500) as failing,
        handler(200, authority.server("127.0.0.1")) as untrusted,
    ):
        for name, url in (
            ("refused", f"http://127.0.0.1:{free_port()}/"),
            ("unknown-host", "http://handler.invalid:9000/"),
            ("certificate", untrusted.url),
            ("handler-401", refusing.url),
            ("backoff", failing.url),
        ):
            webhook = running.webhook(external_url=url)
            running.order()
            failed = running.wait({"failed": {"webhook": webhook}})
            if name == "backoff":
                running.sandbox.process.wait_to_print(webhook)
                quoted(name, running.sandbox.process.printed)
                continue
            quoted(name, failed)
            if name == "refused":
                running.wait({"out_of_order": webhook}, skip=True)
                page = running.sandbox.call("GET", f"/sandbox/deliveries?webhook={webhook}")
                quoted("out-of-order", page.text)
            running.delete(webhook)
    running.post("/sandbox/reset", {})


def test_messages_of_the_api_are_quoted(running: Running) -> None:
    url = f"{running.sandbox.url}/public/v1/requests"
    quoted("api-401", requests.get(url, timeout=10).text)
    other = requests.get(url, headers={"Host": "elsewhere:8000"}, timeout=10)
    quoted("host-name", other.text)


def test_warning_of_another_published_port_is_quoted_and_given_once(running: Running) -> None:
    other = f"127.0.0.1:{free_port()}"
    for host in (other, other, "localhost:9090", "evil.example:1", f"sandbox:{free_port()}"):
        requests.get(f"{running.sandbox.url}/sign-in/", headers={"Host": host}, timeout=10)
    printed = running.sandbox.process.printed
    quoted("published-port", printed)
    assert printed.count(f"Requests arrive at http://{other}") == 1
    for port in ("localhost:9090,", "evil.example", "sandbox:"):
        assert f"Requests arrive at http://{port}" not in printed


def test_time_ahead_is_quoted(running: Running) -> None:
    running.post("/sandbox/reset", {})
    running.sandbox.advance("1d")
    quoted("ahead", running.program("clock", "show"))
    running.post("/sandbox/reset", {})


def test_command_without_a_sandbox_is_quoted(running: Running, tmp_path: Path) -> None:
    for name, address in (("no-sandbox", ""), ("not-reached", f"http://127.0.0.1:{free_port()}")):
        if address:
            sandbox_file.write(tmp_path, sandbox_file.Sandbox(address, "vendor", "distributor"))
        ended = run(running.container, "connect-sim", "clock", "--data-dir", str(tmp_path))
        assert ended.returncode == 3
        quoted(name, ended.stderr)


def test_reset_that_does_not_wait_is_quoted(running: Running) -> None:
    with handler(None) as hanging:
        running.webhook(external_url=hanging.url)
        running.order()
        hanging.next()
        quoted("unsettled", running.program("reset", "--patience", "0.2"))
        hanging.release.set()
    assert running.sandbox.as_vendor("GET", "/notifications/webhooks") == []
