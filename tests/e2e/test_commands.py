"""The commands of a sandbox, end to end: what they do, and errors of one line."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests import orders
from tests.handlers import handler
from tests.processes import (
    ROOT,
    Process,
    Sandbox,
    environment,
    free_port,
    manage,
    pause,
    sandbox,
)

SUITE = "PRD-362-917-440"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with sandbox(tmp_path_factory.mktemp("sandbox")) as found:
        until_printed(found.process, "Ctrl-C stops it.")
        yield found
        # A clean stop takes seconds, and is test_restart's.
        found.process.kill()


def until_printed(process: Process, text: str) -> None:
    deadline = time.monotonic() + 15
    while text not in process.printed:
        assert time.monotonic() < deadline, process.printed
        pause(0.02)


def run(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        manage(*arguments), env=env, cwd=ROOT, capture_output=True, text=True, timeout=60
    )


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one line that a failed command said."""
    assert done.returncode != 0, done.stdout
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


def wrong_setting(done: subprocess.CompletedProcess[str]) -> str:
    """Return the sentence of the only system check that kept a command from starting."""
    assert done.returncode != 0 and "Traceback" not in done.stderr, done.stderr
    [line] = [line for line in done.stderr.splitlines() if line.startswith("?: ")]
    return line.partition(") ")[2]


@contextmanager
def listening(running: Sandbox, folder: Path, *options: str) -> Iterator[tuple[Process, str]]:
    """Run `manage.py listen` until the block ends, and see that a signal ends it cleanly."""
    port = free_port()
    command = manage("listen", "--port", str(port), *options)
    process = Process(command, running.process.env, folder / "listen.log").start()
    try:
        until_printed(process, "Listening at")
        yield process, f"http://127.0.0.1:{port}/"
    finally:
        code = process.stop()
    assert code == 0, process.printed
    assert "Traceback" not in process.printed


@contextmanager
def hooked(running: Sandbox, url: str, **more: str) -> Iterator[str]:
    hook = orders.webhook(running, url, **more)["id"]
    try:
        yield hook
    finally:
        running.as_vendor("DELETE", f"/notifications/webhooks/{hook}")


def last(running: Sandbox, hook: str, which: str) -> dict[str, object]:
    return dict(running.as_vendor("GET", f"/notifications/webhooks/{hook}")[which])


@pytest.fixture
def empty(running: Sandbox) -> None:
    """Nothing of the seed is pending, which would be approved too."""
    for request in running.as_vendor("GET", f"/requests?status=pending&product_id={orders.PLAIN}"):
        running.as_vendor("POST", f"/requests/{request['id']}/fail", {"reason": "Cleared."})


def test_listen_approves_what_was_ordered(running: Sandbox, empty: None, tmp_path: Path) -> None:
    with listening(running, tmp_path, "--approve") as (listen, url), hooked(running, url) as hook:
        request = orders.purchase(running)
        until_printed(listen, f"approved {request['id']}")
        found = running.as_vendor("GET", f"/requests/{request['id']}")
        assert (found["status"], found["asset"]["status"]) == ("approved", "active")
        orders.until_stats(running, hook, events=2, triggers=2, success_triggers=2)
        assert "POST /  token verified" in listen.printed
        assert f'"webhook_id": "{hook}"' in listen.printed
        assert orders.SECRET not in listen.printed


def test_listen_approves_each_of_many_once(
    running: Sandbox, empty: None, tmp_path: Path
) -> None:  # fmt: skip
    """Calls overlap: each approval is a queue change too, and two would approve the same."""
    with listening(running, tmp_path, "--approve") as (listen, url), hooked(running, url) as hook:
        made = [orders.purchase(running)["id"] for _ in range(6)]
        orders.until_stats(
            running, hook, events=12, triggers=12, success_triggers=12, failure_triggers=0
        )
        assert sorted(re.findall(r"^approved (\S+)$", listen.printed, re.M)) == sorted(made)


def test_listen_answers_401_to_a_forged_token(running: Sandbox, tmp_path: Path) -> None:
    with listening(running, tmp_path, "--approve", "--secret", "another secret " * 3) as (
        listen,
        url,
    ), hooked(running, url) as hook:  # fmt: skip
        request = orders.purchase(running)
        orders.until_stats(running, hook, failure_triggers=1)
        assert last(running, hook, "last_failure")["status_code"] == 401
        assert running.as_vendor("GET", f"/requests/{request['id']}")["status"] == "pending"
        assert "token refused (Signature verification failed)" in listen.printed


def test_listen_answers_with_the_status_that_it_is_told(running: Sandbox, tmp_path: Path) -> None:
    with listening(running, tmp_path, "--status", "500") as (_, url), hooked(running, url) as hook:
        orders.purchase(running)
        orders.until_stats(running, hook, triggers=1, failure_triggers=1)
        assert last(running, hook, "last_failure")["status_code"] == 500


def test_listen_waits_before_it_answers(running: Sandbox, tmp_path: Path) -> None:
    with listening(running, tmp_path, "--delay", "0.4") as (_, url), hooked(running, url) as hook:
        orders.purchase(running)
        orders.until_stats(running, hook, triggers=1, success_triggers=1)
        assert 400 <= last(running, hook, "last_success")["duration"] < 2000  # type: ignore[operator]


def test_listen_hangs_until_it_is_stopped(running: Sandbox, tmp_path: Path) -> None:
    with listening(running, tmp_path, "--hang") as (listen, url), hooked(running, url) as hook:
        orders.purchase(running)
        until_called = time.monotonic() + 1
        while time.monotonic() < until_called:
            assert orders.stats(running, hook)["triggers"] == 0
            pause()
        assert orders.stats(running, hook)["events"] == 1
        assert listen.stop(signal.SIGINT) == 0
        orders.until_stats(running, hook, triggers=1, failure_triggers=1)
        assert last(running, hook, "last_failure")["status_code"] is None


def drafted(running: Sandbox, region: str) -> str:
    """Return a draft of the suite, by the distributor's API."""
    made = run(running.process.env, "queue", "add", "fulfillment", "--draft", "--product", SUITE)
    pk, status = made.stdout.split()
    assert status == "draft", made.stderr
    change(running, pk, region)
    return pk


def change(running: Sandbox, pk: str, region: str) -> None:
    params = [{"id": "data_region", "value": region}]
    running.as_distributor("PUT", f"/requests/{pk}", {"asset": {"params": params}})


def validated(running: Sandbox, pk: str) -> dict[str, str]:
    """Return what is said of a draft's parameters after a validation by the API."""
    found = running.as_distributor("POST", f"/requests/{pk}/validate", {})
    assert found["status"] == "draft"
    return {p["id"]: p["value_error"] for p in found["asset"]["params"] if p["value_error"]}


def test_listen_validates_a_draft_until_it_is_right(running: Sandbox, tmp_path: Path) -> None:
    rules = ("data_region:uk=Not offered", "edition=Only advanced", "rigeon=x")
    options = [part for rule in rules for part in ("--validate", rule)]
    with (
        listening(running, tmp_path, "--approve", *options) as (listen, url),
        hooked(running, url, type="validator", product=SUITE) as hook,
    ):
        pk = drafted(running, "uk")
        wrong = {"data_region": "Not offered", "edition": "Only advanced"}
        assert validated(running, pk) == wrong
        assert f"validate {pk} purchase draft" in listen.printed
        assert '  data_region = "uk"' in listen.printed
        assert "warning: there is no parameter rigeon; there are admin_email" in listen.printed
        assert 'answer 200: data_region: "Not offered"; edition: "Only advanced"' in listen.printed
        # What anybody reads afterwards has it too.
        done = run(running.process.env, "queue", "validate", pk)
        assert done.stdout.splitlines() == [
            f"{pk} draft", '  data_region = "uk": "Not offered"',
            '  edition = "standard": "Only advanced"',
        ]  # fmt: skip
        change(running, pk, "us")
        assert validated(running, pk) == {"edition": "Only advanced"}
        orders.until_stats(running, hook, triggers=3, success_triggers=3)


def test_listen_validates_and_approves_as_one_handler(
    running: Sandbox, empty: None, tmp_path: Path
) -> None:
    """A body with parameters is an object under validation, any other a wake-up."""
    with (
        listening(running, tmp_path, "--approve", "--validate", "region=No") as (listen, url),
        hooked(running, url) as hook,
    ):
        request = orders.purchase(running)
        until_printed(listen, f"approved {request['id']}")
        orders.until_stats(running, hook, triggers=2, success_triggers=2)
        assert "validate PR-" not in listen.printed


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--status", "500"), "The handler answered 500; only 2xx is success."),
        (("--status", "204"), "The handler answered 204, but without a body."),
        (("--secret", "another secret " * 3), "The handler answered 401; only 2xx is success."),
    ],
)
def test_what_listen_answers_otherwise_fails_the_validation(
    running: Sandbox, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    rule = ("--validate", "data_region=Not offered")
    with (
        listening(running, tmp_path, *rule, *options) as (listen, url),
        hooked(running, url, type="validator", product=SUITE),
    ):
        pk = drafted(running, "uk")
        answer = running.call(
            "POST", f"/public/v1/requests/{pk}/validate", {}, key=running.provider_key
        )
        assert answer.status_code == 400
        assert answer.json()["error_code"] == "VAL_100"
        assert answer.json()["errors"][1].startswith(said)
        # Whoever may not ask isn't told what would have been said.
        assert ("validate PR-" in listen.printed) == ("--status" in options)


def test_listen_waits_before_it_validates(running: Sandbox, tmp_path: Path) -> None:
    rule = ("--validate", "data_region=Not offered")
    with (
        listening(running, tmp_path, *rule, "--delay", "0.4") as (_, url),
        hooked(running, url, type="validator", product=SUITE) as hook,
    ):
        assert validated(running, drafted(running, "uk")) == {"data_region": "Not offered"}
        assert 400 <= last(running, hook, "last_success")["duration"] < 2000  # type: ignore[operator]


def test_listen_hangs_while_somebody_validates(tmp_path: Path) -> None:
    rule = ("--validate", "data_region=Not offered")
    with (
        sandbox(tmp_path / "data", SIM_VALIDATION_TIMEOUT="0.5") as running,
        listening(running, tmp_path, *rule, "--hang") as (_, url),
    ):
        orders.webhook(running, url, SUITE, type="validator")
        pk = drafted(running, "uk")
        said = one_line(run(running.process.env, "queue", "validate", pk))
        assert "400 Validation service is not available." in said
        assert "0.5 s" in said
        running.process.kill()


def test_clock_advance_runs_the_retry(running: Sandbox) -> None:
    with handler(500) as served, hooked(running, served.url) as hook:
        orders.purchase(running)
        orders.until_stats(running, hook, failure_triggers=1)
        served.answer = lambda got: 200
        before = run(running.process.env, "clock", "show").stdout.strip()
        done = run(running.process.env, "clock", "advance", "5m5s")
        moment = r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00)"
        match = re.fullmatch(rf"{moment} -> {moment} \((\d+) stops on the way\)\n", done.stdout)
        assert (done.returncode, done.stderr) == (0, "")
        assert match is not None, done.stdout
        assert before <= match[1] < match[2]
        assert int(match[3]) >= 1
        orders.until_stats(running, hook, triggers=2, success_triggers=1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("clock advance", "By how much? For example: clock advance 5m"),
        ("clock advance banana", "'banana' is no span of time"),
        ("clock advance 0s", "longer than nothing"),
        ("clock advance 99999999d", "at most ten years"),
        ("listen --status 99", "--status is an HTTP status from 100 to 599."),
        ("listen --port 99999", "--port"),
        ("listen --port -1", "--port"),
        ("listen --delay nan", "--delay"),
        ("listen --delay -1", "--delay"),
        (
            "listen --validate region",
            "--validate is PARAM=ERROR or PARAM:VALUE=ERROR, not 'region'.",
        ),
        ("listen --validate =x", "--validate is PARAM=ERROR or PARAM:VALUE=ERROR, not '=x'."),
        ("queue validate PR-0000", "404 Object `PR-0000` not found."),
        ("queue add listing --draft", "A listing_request is never validated as a draft"),
        ("signin nobody", "There is no user nobody."),
        ("apikey VA-000-000", "There is no account VA-000-000 (accounts: "),
    ],
)
def test_a_bad_argument_is_a_line(running: Sandbox, arguments: str, said: str) -> None:
    assert said in one_line(run(running.process.env, *arguments.split()))


def test_listen_says_that_its_port_is_taken(running: Sandbox) -> None:
    port = running.url.rpartition(":")[2]
    said = one_line(run(running.process.env, "listen", "--port", port))
    assert said == f"CommandError: Port {port} can't be bound: Address already in use."


def test_a_command_without_a_sandbox_says_so(running: Sandbox, tmp_path: Path) -> None:
    for arguments in (("listen", "--approve"), ("clock", "show")):
        said = one_line(run(environment(tmp_path), *arguments))
        assert said == (
            f"CommandError: There is no {tmp_path}/sandbox.json: start the sandbox first "
            f"(`make run`)."
        )


def test_a_command_after_the_sandbox_says_so(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    found = {"url": url, "vendor_api_key": "SU-000-000-000:x", "provider_api_key": ""}
    (tmp_path / "sandbox.json").write_text(json.dumps(found))
    said = one_line(run(environment(tmp_path), "clock", "show"))
    assert said.startswith(f"CommandError: {url} can't be reached")
    (tmp_path / "sandbox.json").write_text("{")
    assert "delete it and start the sandbox again" in one_line(
        run(environment(tmp_path), "clock", "show")
    )


def test_the_banner_names_the_portal_first(running: Sandbox) -> None:
    printed = running.process.printed
    assert f"Connect Sim is up: {running.url}\n\n  Portal     {running.url}/\n" in printed
    assert f"  Admin      {running.url}/admin/\n" in printed


@pytest.mark.parametrize("source", ["banner", "command"])
def test_a_sign_in_link_works_once(running: Sandbox, source: str) -> None:
    said = (
        running.process.printed
        if source == "banner"
        else run(running.process.env, "signin", "vendor").stdout
    )
    link = re.search(rf"{running.url}/sign-in/\S+", said)
    assert link is not None
    first = requests.get(link[0], allow_redirects=False, timeout=10)
    assert first.status_code == 303
    assert "sessionid" in first.cookies
    second = requests.get(link[0], allow_redirects=False, timeout=10)
    assert second.status_code == 403
    assert "sessionid" not in second.cookies
    assert "has been used" in second.text
    page = requests.get(f"{running.url}/", cookies=first.cookies, timeout=10)
    assert page.status_code == 200 and "What is running" in page.text
    # The session is one of somebody who may see the admin.
    page = requests.get(
        f"{running.url}/admin/", cookies=first.cookies, allow_redirects=False, timeout=10
    )
    assert page.status_code == 200


def test_a_port_that_is_taken_is_a_line(running: Sandbox, tmp_path: Path) -> None:
    bind = running.url.removeprefix("http://")
    said = one_line(run(environment(tmp_path, SIM_BIND=bind), "sandbox", "--no-seed"))
    assert said.startswith(f"CommandError: {bind} can't be bound (Address already in use).")
    # What the other one's clients read is not overwritten with an address that isn't ours.
    assert not (tmp_path / "sandbox.json").exists()


@pytest.mark.parametrize(
    "key", ["secret-without-a-form", "SU-123-456-789:short", "SU-1-2-3:0123456789"]
)
def test_a_given_key_of_the_wrong_form_is_a_sentence(key: str, tmp_path: Path) -> None:
    bind = f"127.0.0.1:{free_port()}"
    env = environment(tmp_path, SIM_BIND=bind, SIM_VENDOR_API_KEY=key)
    assert wrong_setting(run(env, "sandbox")) == (
        "SIM_VENDOR_API_KEY cannot be used. An API key has the form SU-ddd-ddd-ddd:secret, "
        "the secret 8 characters or more."
    )


def test_given_keys_are_used(tmp_path: Path) -> None:
    vendor, provider = "SU-160-984-824:8c8e87f8a1b2c3d4", "SU-160-984-825:9d9f98e9b2c3d4e5"
    with sandbox(
        tmp_path / "data",
        # As people copy it, with the word.
        SIM_VENDOR_API_KEY=f"ApiKey {vendor}",
        SIM_PROVIDER_API_KEY=provider,
    ) as found:
        assert (found.vendor_key, found.provider_key) == (vendor, provider)
        accounts = [
            found.call("GET", "/public/v1/accounts", key=key).json()[0]["id"]
            for key in (vendor, provider)
        ]
        assert accounts == ["VA-610-138", "PA-318-442"]
        # The same service user with another secret is nobody.
        wrong = found.call("GET", "/public/v1/accounts", key=f"{vendor}0")
        assert wrong.status_code == 401
        # The database holds no key.
        stored = b"".join(
            file.read_bytes() for file in (tmp_path / "data").glob("connect.sqlite3*")
        )
        for key in (vendor, provider):
            assert key.partition(":")[2].encode() not in stored
        found.process.kill()


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("SIM_PROFILE", "cloud", "SIM_PROFILE must be one of sandbox, server, not 'cloud'."),
        (
            "SIM_BIND",
            "here",
            "SIM_BIND must be host:port, with a port from 1 to 65535. The value is 'here'.",
        ),
    ],
)
def test_a_bad_setting_is_a_sentence(variable: str, value: str, said: str, tmp_path: Path) -> None:
    assert wrong_setting(run(environment(tmp_path, **{variable: value}), "sandbox")) == said
