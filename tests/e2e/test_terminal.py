"""Webhooks, keys, products and addresses from the terminal, without curl or the portal."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests

from tests import orders, processes
from tests.handlers import handler
from tests.processes import Process, Sandbox, free_port, pause
from tests.program import Failed, run, run_json

PROGRAM = [sys.executable, "-m", "connect_sim"]


@pytest.fixture(autouse=True)
def _sandbox_of_the_program(running: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIM_DATA_DIR", str(running.data_dir))


def created(url: str, *options: str) -> tuple[str, str]:
    """Create a webhook and return its id and secret."""
    pk, secret = run("webhook", "create", url, orders.PLAIN, *options).split()
    return pk, secret


def line_of(pk: str) -> list[str]:
    """Return the columns of a webhook in the list."""
    [line] = [line for line in run("webhook").splitlines() if line.startswith(pk)]
    return re.split(" {2,}", line)


def test_webhook_from_creation_to_deletion(running: Sandbox) -> None:
    with handler() as served:
        pk, secret = created(served.url, "--label", "Mine")
        assert line_of(pk) == [pk, "enabled", orders.PLAIN, "Mine", served.url]
        assert run("webhook", "trigger", pk) == f"{pk} triggered\n"
        claims = jwt.decode(served.next().token, secret, algorithms=["HS256"])
        assert claims["webhook_id"] == pk
        orders.until_stats(running, pk, success_triggers=1)
    shown = run("webhook", "show", pk)
    assert "1, 1 successful, 0 failed" in shown and ": 200 (" in shown
    assert secret not in shown + run("webhook", "show", pk, "--json")
    assert secret in run("webhook", "show", pk, "--secret")
    assert run("webhook", "delete", pk) == f"{pk} deleted\n"
    assert pk not in run("webhook", "list")


def test_disabled_webhook_is_not_triggered() -> None:
    pk, _ = created("http://127.0.0.1:9/")
    assert run("webhook", "disable", pk) == f"{pk} disabled\n"
    with pytest.raises(Failed, match="is disabled") as failed:
        run("webhook", "trigger", pk)
    assert failed.value.code == 1
    assert run("webhook", "enable", pk) == f"{pk} enabled\n"


def test_webhook_that_is_out_of_order_is_recovered(running: Sandbox) -> None:
    with handler(500) as served:
        pk, _ = created(served.url)
        with pytest.raises(Failed, match=f"{pk} is not out of order, but enabled"):
            run("webhook", "recover", pk)
        orders.purchase(running)
        running.advance("3d")
        assert line_of(pk)[1] == "out of order"
        served.respond = lambda request: 200
        assert run("webhook", "recover", pk) in (f"{pk} enabled\n", f"{pk} in backoff\n")
        orders.until_stats(running, pk, success_triggers=1)


def test_distributor_has_webhooks_with_a_secret_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{orders.SECRET}\n")
    options = ("--as", "distributor", "--method", "GET", "--secret-file", str(file))
    pk, secret = created("http://127.0.0.1:9/", *options)
    assert secret == orders.SECRET
    [row] = [row for row in run_json("webhook", "list", "--as", "distributor") if row["id"] == pk]
    assert (row["http_method"], row["account"]["id"]) == ("GET", "PA-318-442")
    assert pk not in run("webhook")


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("webhook", "create", "ftp://x", "PRD-1"), 1, "external_url: .* product_id: "),
        (("webhook", "show", "WH-000-000-000"), 1, "`WH-000-000-000` not found"),
        (("webhook", "create", "http://127.0.0.1/"), 2, "Missing argument 'PRODUCT'"),
        (("listen", "--forward-to", "ftp://x"), 2, "http:// or https://"),
        (("listen", "--forward-to", "http://169.254.169.254/"), 2, "metadata"),
        (("listen", "--forward-to", "http://127.0.0.1/", "--approve"), 2, "leave out"),
    ],
)
def test_mistake_is_one_line(arguments: tuple[str, ...], code: int, text: str) -> None:
    with pytest.raises(Failed, match=text) as failed:
        run(*arguments)
    assert failed.value.code == code
    assert "\n" not in str(failed.value)


def test_products_are_listed() -> None:
    assert f"{orders.PLAIN}  published  Nimbus Backup\n" in run("product", "list")
    assert orders.PLAIN in [row["id"] for row in run_json("product", "list")]


def test_exports_are_those_of_the_party(running: Sandbox) -> None:
    lines = shlex.split(run("env"))
    exported = dict(word.split("=", 1) for word in lines if word != "export")
    assert (
        exported
        == run_json("env")
        == {
            "SANDBOX_URL": running.url,
            "CONNECT_API_URL": f"{running.url}/public/v1",
            "CONNECT_API_KEY": f"ApiKey {running.vendor_key}",
            "CONNECT_API_TOKEN": running.vendor_key,
        }
    )
    assert run_json("env", "--as", "distributor")["CONNECT_API_TOKEN"] == running.provider_key


def test_key_is_created_and_revoked(running: Sandbox) -> None:
    def program(*arguments: str) -> str:
        done = processes.run([*PROGRAM, *arguments], running.process.env)
        assert done.returncode == 0, done.stderr
        return done.stdout

    options = ("--name", "CI", "--expires", "90d", "--modules", "usage, Subscriptions")
    key = program("key", "create", "VA-610-138", *options).strip().removeprefix("ApiKey ")
    assert running.call("GET", "/public/v1/requests?limit=1", key=key).status_code == 200
    assert running.call("GET", "/public/v1/products?limit=1", key=key).status_code == 403
    pk = key.partition(":")[0]
    [line] = [line for line in program("key").splitlines() if line.startswith(pk)]
    assert line.endswith("modules Subscriptions, Usage  CI") and key.partition(":")[2] not in line
    program("key", "revoke", pk)
    assert running.call("GET", "/public/v1/requests?limit=1", key=key).status_code == 401


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("key", "create", "VA-000-000"), "VA-000-000"),
        (("key", "revoke", "SU-000-000-000"), "SU-000-000-000"),
        (("open", "nobody"), "nobody"),
    ],
)
def test_mistake_about_access_is_one_line(
    running: Sandbox, arguments: tuple[str, ...], text: str
) -> None:
    done = processes.run([*PROGRAM, *arguments], running.process.env)
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("Error: ") and text in line


@pytest.mark.parametrize("command", ["key", "open"])
def test_access_needs_a_sandbox(tmp_path: Path, running: Sandbox, command: str) -> None:
    env = {**running.process.env, "SIM_DATA_DIR": str(tmp_path)}
    done = processes.run([*PROGRAM, command], env)
    assert done.returncode == 3 and done.stderr.startswith("Error: "), done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("is_printed", [True, False])
def test_portal_is_opened_with_a_link_that_signs_in(
    running: Sandbox, tmp_path: Path, is_printed: bool
) -> None:
    # As a browser, a program that writes down what it should show.
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {shlex.quote(str(opened))}\n')
    browser.chmod(0o755)
    env = {**running.process.env, "BROWSER": f"{browser} %s"}
    # Not the administrator, whose link other tests use.
    done = processes.run([*PROGRAM, "open", "vendor", *["--print"][:is_printed]], env)
    assert done.returncode == 0, done.stderr
    link = done.stdout.strip() if is_printed else opened.read_text()
    assert (link in done.stdout) == is_printed != opened.exists()
    page = requests.get(link, timeout=30)
    assert page.ok and "Sign in" not in page.text.partition("</title>")[0]


@contextmanager
def forwarding(running: Sandbox, folder: Path, port: int, target: str) -> Iterator[Process]:
    """Run `listen --forward-to` for the block."""
    command = [*PROGRAM, "listen", "--port", str(port), "--forward-to", target]
    log = folder / f"{len(list(folder.iterdir()))}.log"
    process = Process(command, running.process.env, log).start()
    try:
        until_printed(process, "passing requests on")
        yield process
    finally:
        process.stop()
    assert "Traceback" not in process.printed


def until_printed(process: Process, text: str) -> None:
    while text not in process.printed:
        assert process.popen.poll() is None, process.printed
        pause(0.02)


def test_requests_are_passed_on_with_their_headers(running: Sandbox, tmp_path: Path) -> None:
    port = free_port()
    with handler(202) as served, forwarding(running, tmp_path, port, f"{served.url}hook?a=1") as to:
        rows = running.as_vendor("GET", "/notifications/webhooks?limit=100")
        ours = [row for row in rows if f":{port}/" in row["external_url"]]
        assert {row["object_class"] for row in ours} == {"fulfillment_request"}
        secrets = {row["product"]["id"]: row["jwt_secret"] for row in ours}
        assert orders.PLAIN in secrets and secrets[orders.PLAIN] in to.printed
        orders.purchase(running)
        received = served.next()
        assert (received.method, received.path) == ("POST", "/hook?a=1")
        assert received.headers["User-Agent"] == "Connect-Sim"
        assert jwt.decode(received.token, secrets[orders.PLAIN], algorithms=["HS256"])
        assert received.json["product_id"] == orders.PLAIN
        until_printed(to, "returned 202")
    with handler() as served, forwarding(running, tmp_path, port, served.url) as to:
        assert "Created" not in to.printed
        # The handler sees nothing of a forged token, nor of one that can't be verified.
        unknown = jwt.encode({"webhook_id": "WH-000-000-000"}, orders.SECRET, algorithm="HS256")
        for token in ("x", unknown):
            headers = {"Authorization": f"Bearer {token}"}
            response = requests.post(f"http://127.0.0.1:{port}/", b"{}", headers=headers)
            assert response.status_code == 401 and served.calls.empty()


def test_product_with_a_webhook_for_the_port_gets_no_second_one(
    running: Sandbox, tmp_path: Path
) -> None:
    port = free_port()
    pk, _ = created(f"http://localhost:{port}/hook")
    with handler() as served, forwarding(running, tmp_path, port, served.url) as to:
        assert "Created" in to.printed and f"for {orders.PLAIN}" not in to.printed
        run("webhook", "trigger", pk)
        assert jwt.decode(served.next().token, options={"verify_signature": False})


@pytest.mark.parametrize(
    ("response", "reason"),
    [(None, "refused the connection"), ((200, bytes(9 << 20)), "more than 8 MiB")],
)
def test_handler_without_a_usable_response_is_a_bad_gateway(
    running: Sandbox, tmp_path: Path, response: Any, reason: str
) -> None:
    with handler(response or 200) as served:
        url = served.url if response else f"http://127.0.0.1:{free_port()}/"
        with forwarding(running, tmp_path, free_port(), url) as to:
            orders.purchase(running)
            until_printed(to, "returned 502")
            assert reason in to.printed


def test_management_commands_are_those_of_this_project(running: Sandbox) -> None:
    done = processes.run([*PROGRAM, "manage"], running.process.env)
    names = [line.split()[0] for line in done.stdout.splitlines()]
    assert {"apikey", "prune", "seed", "signin", "worker"} <= set(names)
    assert not {"dbshell", "makemessages", "startproject"} & set(names)
