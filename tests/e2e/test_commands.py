"""`listen`, `queue`, `clock` and management commands of a running sandbox; one-line errors."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests import orders, processes
from tests.orders import subscribed
from tests.processes import Sandbox, environment, listening, manage, pause, sandbox

SUITE = "PRD-362-917-440"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        running.process.wait_to_print("Ctrl-C")
        yield running
        # test_restart tests the clean stop, which takes seconds.
        running.process.kill()


def run(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return processes.run(manage(*arguments), env)


def error_line(done: subprocess.CompletedProcess[str]) -> str:
    """Return the only line on stderr of a failed command."""
    assert done.returncode != 0, done.stdout
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


def last(running: Sandbox, hook: str, which: str) -> dict[str, Any]:
    return dict(running.as_vendor("GET", f"/notifications/webhooks/{hook}")[which])


@pytest.fixture
def empty(running: Sandbox) -> None:
    """Remove the pending requests of the demo data, which would be approved too."""
    for request in running.as_vendor("GET", f"/requests?status=pending&product_id={orders.PLAIN}"):
        running.as_vendor("POST", f"/requests/{request['id']}/fail", {"reason": "Cleared."})


def test_listen_approves_pending_request(running: Sandbox, empty: None, tmp_path: Path) -> None:
    with (
        listening(running, tmp_path, "--approve") as (listen, url),
        subscribed(running, url) as hook,
    ):
        request = orders.purchase(running)
        listen.wait_to_print(f"#1 approved {request['id']}")
        approved = running.as_vendor("GET", f"/requests/{request['id']}")
        assert (approved["status"], approved["asset"]["status"]) == ("approved", "active")
        orders.until_stats(running, hook, events=2, triggers=2, success_triggers=2)
        assert "POST /  token verified" in listen.printed
        assert "\n#2 returned 200" in listen.printed
        assert f'"webhook_id": "{hook}"' in listen.printed
        assert f'returned 200: {{"received": "{hook}"}}' in listen.printed
        assert orders.SECRET not in listen.printed


def test_listen_approves_each_request_once(running: Sandbox, empty: None, tmp_path: Path) -> None:
    """Each approval is a queue change too, so overlapping requests could approve one twice."""
    with (
        listening(running, tmp_path, "--approve") as (listen, url),
        subscribed(running, url) as hook,
    ):
        ids = [orders.purchase(running)["id"] for _ in range(6)]
        orders.until_stats(
            running, hook, events=12, triggers=12, success_triggers=12, failure_triggers=0
        )
        assert sorted(re.findall(r"^#\d+ approved (\S+)$", listen.printed, re.M)) == sorted(ids)


def test_listen_returns_401_for_forged_token(running: Sandbox, tmp_path: Path) -> None:
    with (
        listening(running, tmp_path, "--approve", "--secret", "another secret " * 3) as (
            listen,
            url,
        ),
        subscribed(running, url) as hook,
    ):
        request = orders.purchase(running)
        orders.until_stats(running, hook, failure_triggers=1)
        assert last(running, hook, "last_failure")["status_code"] == 401
        assert running.as_vendor("GET", f"/requests/{request['id']}")["status"] == "pending"
        assert "token refused (Signature verification failed)" in listen.printed


def test_listen_responds_after_its_delay_with_its_status(running: Sandbox, tmp_path: Path) -> None:
    options = ("--status", "500", "--delay", "0.4")
    with listening(running, tmp_path, *options) as (_, url), subscribed(running, url) as hook:
        orders.purchase(running)
        orders.until_stats(running, hook, triggers=1, failure_triggers=1)
        failure = last(running, hook, "last_failure")
        assert failure["status_code"] == 500 and failure["duration"] >= 400


def test_listen_hangs_until_stopped(running: Sandbox, tmp_path: Path) -> None:
    with listening(running, tmp_path, "--hang") as (listen, url), subscribed(running, url) as hook:
        orders.purchase(running)
        until_called = time.monotonic() + 1
        while time.monotonic() < until_called:
            assert orders.stats(running, hook)["triggers"] == 0
            pause()
        assert orders.stats(running, hook)["events"] == 1
        assert listen.stop(signal.SIGINT) == 130
        orders.until_stats(running, hook, triggers=1, failure_triggers=1)
        assert last(running, hook, "last_failure")["status_code"] is None


def create_draft(running: Sandbox, region: str) -> str:
    """Create a draft of the suite and return its id."""
    done = run(running.process.env, "queue", "add", "fulfillment", "--draft", "--product", SUITE)
    pk, status = done.stdout.split()
    assert status == "draft", done.stderr
    change(running, pk, region)
    return pk


def change(running: Sandbox, pk: str, region: str) -> None:
    params = [{"id": "data_region", "value": region}]
    running.as_distributor("PUT", f"/requests/{pk}", {"asset": {"params": params}})


def validate(running: Sandbox, pk: str) -> dict[str, str]:
    """Validate a draft by the API and return the errors of its parameters."""
    request = running.as_distributor("POST", f"/requests/{pk}/validate", {})
    assert request["status"] == "draft"
    return {p["id"]: p["value_error"] for p in request["asset"]["params"] if p["value_error"]}


def test_listen_validates_draft_until_it_is_valid(running: Sandbox, tmp_path: Path) -> None:
    rules = ("data_region:uk=Not offered", "edition=Only advanced", "rigeon=x")
    options = [part for rule in rules for part in ("--validate", rule)]
    with (
        listening(running, tmp_path, "--approve", *options) as (listen, url),
        subscribed(running, url, type="validator", product=SUITE) as hook,
    ):
        pk = create_draft(running, "uk")
        errors = {"data_region": "Not offered", "edition": "Only advanced"}
        assert validate(running, pk) == errors
        assert f"validate {pk} purchase draft" in listen.printed
        assert '  data_region = "uk"' in listen.printed
        assert "warning: unknown parameter rigeon; available: admin_email" in listen.printed
        assert (
            'returned 200: data_region: "Not offered"; edition: "Only advanced"' in listen.printed
        )
        # The errors are stored.
        done = run(running.process.env, "queue", "validate", pk)
        assert done.stdout.splitlines() == [
            f"{pk} draft",
            '  data_region = "uk": "Not offered"',
            '  edition = "standard": "Only advanced"',
        ]
        change(running, pk, "us")
        assert validate(running, pk) == {"edition": "Only advanced"}
        orders.until_stats(running, hook, triggers=3, success_triggers=3)


def test_listen_validates_and_approves(running: Sandbox, empty: None, tmp_path: Path) -> None:
    """A body with parameters is a validation request, any other a notification."""
    with (
        listening(running, tmp_path, "--approve", "--validate", "region=No") as (listen, url),
        subscribed(running, url) as hook,
    ):
        request = orders.purchase(running)
        listen.wait_to_print(f"approved {request['id']}")
        orders.until_stats(running, hook, triggers=2, success_triggers=2)
        assert "validate PR-" not in listen.printed


def test_other_status_of_listen_fails_the_validation(running: Sandbox, tmp_path: Path) -> None:
    options = ("--validate", "data_region=Not offered", "--status", "204")
    with (
        listening(running, tmp_path, *options) as (listen, url),
        subscribed(running, url, type="validator", product=SUITE),
    ):
        pk = create_draft(running, "uk")
        response = running.call(
            "POST", f"/public/v1/requests/{pk}/validate", {}, key=running.provider_key
        )
        assert (response.status_code, response.json()["error_code"]) == (400, "VAL_100")
        error = "Handler returned HTTP 204, but the body is empty."
        assert response.json()["errors"][1].startswith(error)
        assert "validate PR-" in listen.printed


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ("clock advance banana", "'banana' is not a duration"),
        ("listen --port 99999", "--port"),
        ("listen --validate region", "--validate"),
        ("queue validate PR-0000", "404 "),
        ("signin nobody", "There is no user nobody."),
        ("apikey VA-000-000", "Unknown account VA-000-000. Available: "),
    ],
)
def test_invalid_argument_prints_one_line(running: Sandbox, arguments: str, error: str) -> None:
    assert error in error_line(run(running.process.env, *arguments.split()))


def test_listen_reports_a_port_in_use(running: Sandbox) -> None:
    port = running.url.rpartition(":")[2]
    error = error_line(run(running.process.env, "listen", "--port", port))
    assert error.startswith(f"Error: Cannot bind port {port}: Address already in use. ")
    assert f"--port {int(port) + 1}" in error


def test_command_without_sandbox_names_the_missing_file(tmp_path: Path) -> None:
    error = error_line(run(environment(tmp_path), "listen", "--approve"))
    assert error.startswith(f"Error: {tmp_path}/sandbox.json")


def test_start_prints_six_lines(running: Sandbox) -> None:
    lines = running.process.printed.partition("Connect Sim is running")[2].splitlines()[:6]
    assert lines[0] == f" at {running.url}"
    assert re.fullmatch(rf"  Sign in      {running.url}/sign-in/\S+   \(works once\)", lines[1])
    assert lines[2:] == [
        f"  API          {running.url}/public/v1",
        f"  Vendor       ApiKey {running.vendor_key}",
        f"  Distributor  ApiKey {running.provider_key}",
        "Press Ctrl-C to stop.",
    ]


@pytest.mark.parametrize("source", ["banner", "command"])
def test_sign_in_link_works_once(running: Sandbox, source: str) -> None:
    output = (
        running.process.printed
        if source == "banner"
        else run(running.process.env, "signin", "vendor").stdout
    )
    [link] = re.findall(rf"{running.url}/sign-in/\S+", output)

    def get(address: str, cookies: Any = None) -> requests.Response:
        return requests.get(address, cookies=cookies, allow_redirects=False, timeout=10)

    first, second = get(link), get(link)
    assert [each for each in first.cookies if each.name.startswith("sessionid-")]
    assert not second.cookies
    # The user has access to the admin.
    pages = [get(f"{running.url}{path}", first.cookies) for path in ("/", "/admin/")]
    statuses = [response.status_code for response in (first, second, *pages)]
    assert statuses == [303, 403, 200, 200]


def test_database_has_no_key(running: Sandbox) -> None:
    stored = b"".join(file.read_bytes() for file in running.data_dir.glob("connect.sqlite3*"))
    for key in (running.vendor_key, running.provider_key):
        uid, _, secret = key.partition(":")
        assert uid.encode() in stored and secret.encode() not in stored
