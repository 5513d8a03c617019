"""The websocket of runners, through the web server: handshake, tasks, results, reconnections."""

from __future__ import annotations

import socket
import ssl
import uuid
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from django.core.wsgi import get_wsgi_application
from django.db import transaction
from websockets.exceptions import InvalidStatus

from extensions import dispatch, fan_out, gateway, messages
from extensions.models import Environment, Extension, Instance, Run, Task, Variable
from requests_queue import clock
from requests_queue.catalog import keys
from sandbox.api.extensions import HOST
from sandbox.clock import settling
from tests import make
from tests.api import Caller, caller
from tests.engines import until
from tests.extensions.changes import change
from tests.extensions.conftest import Connect
from tests.extensions.runner import PURCHASE, runner
from tests.runtime.serving import ask, head, serving

pytestmark = pytest.mark.django_db(transaction=True)


def _status(task: dict[str, Any]) -> str:
    pk = int(task["options"]["task_id"].rpartition("-")[2])
    return Task.objects.values_list("status", flat=True).get(pk=pk)


def _ended(task: dict[str, Any], status: str = "succeeded") -> None:
    until(lambda: _status(task) == status, f"a task that {status}")


# -- handshake


def test_setup_stores_what_is_declared_and_keeps_variables(
    connect: Connect, environment: Environment
) -> None:
    first = {"name": "TOKEN", "initial_value": "first", "secure": True}
    declared = {
        "event_subscriptions": {PURCHASE: ["pending"], "product_custom_event_processing": []},
        "variables": [first, {"name": "URL", "initial_value": "", "secure": False}],
        "schedulables": [{"method": "run", "name": "Run", "description": "Runs."}],
        "runner_version": "43.1",
    }
    with connect() as one:
        one.send("setup_request", declared)
        response = one.receive("setup_response")
    environment.refresh_from_db()
    assert environment.subscriptions == declared["event_subscriptions"]
    assert environment.schedulables == declared["schedulables"]
    assert response["variables"] == [
        {"name": "TOKEN", "value": "first", "secure": True},
        {"name": "URL", "value": "", "secure": False},
    ]
    assert response["environment_type"] == "development"
    assert response["logging"]["meta"]["service_id"] == environment.extension_id
    assert response["logging"]["logging_api_key"] is None
    assert response["event_definitions"] == messages.event_definitions()
    # A value that a user has set stays.
    for row in Variable.objects.all():
        row.value = "changed"
        row.save()
    with connect() as one:
        response = one.set_up(variables=[first])
    assert {each["value"] for each in response["variables"]} == {"changed"}
    [row] = Instance.objects.all()
    until(lambda: Instance.objects.get().connection is None, "the end of the connection")
    assert (row.uid, row.kind) == ("one", "background")


@pytest.mark.parametrize(
    ("key", "path"),
    [
        (None, "one"),
        ("SU-000-000-000:nothing", "one"),
        ("other", "one"),
        ("own", "one/webapp"),
        ("own", "%00"),
        ("own", "a" * 101),
        ("own", "one?runner_type=webapp"),
    ],
)
def test_stranger_is_refused(
    server: str, environment: Environment, who: Caller, key: str | None, path: str
) -> None:
    known = {"own": who.key, "other": caller(make.catalog("2").vendor).key}
    sent = known.get(key or "", key)
    uid, _, query = path.partition("?")
    kind = query.removeprefix("runner_type=") or "background"
    with (
        pytest.raises(InvalidStatus) as refused,
        runner(server, sent, environment.pk, uid, kind),
    ):
        pass
    assert refused.value.response.status_code == 403
    assert not Instance.objects.exists()


def test_expired_key_is_refused(
    server: str, environment: Environment, catalog: make.Catalog
) -> None:
    key, _ = keys.create(catalog.vendor, "Old", expires=datetime.now(UTC) - timedelta(hours=1))
    with pytest.raises(InvalidStatus), runner(server, key, environment.pk):
        pass


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("no JSON", 1003),
        ('{"version": 1, "message_type": "capabilities", "data": {}}', 1003),
        ('{"version": 2, "message_type": "task", "data": {}}', 1003),
        ('{"version": 2, "message_type": "setup_request", "data": {"variables": 1}}', 1003),
        (b"\xff\xfe", 1003),
        ("x" * (messages.MAX_FRAME + 1), 1009),
    ],
)
def test_first_message_that_is_no_setup_closes_the_connection(
    connect: Connect, frame: str | bytes, code: int
) -> None:
    with connect() as one:
        one.connection.send(frame)
        assert one.closed()[0] == code
    assert not Instance.objects.exclude(connection=None).exists()


def test_runner_that_declares_nothing_is_closed(
    monkeypatch: pytest.MonkeyPatch, connect: Connect
) -> None:
    monkeypatch.setattr(gateway, "SETUP", 0.1)
    with connect() as one:
        assert one.closed() == (1003, "No setup_request came.")


def test_upgrade_elsewhere_is_an_ordinary_request(server: str) -> None:
    upgrade = b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
    key = b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    for path in ("/public/v1/requests", "/public/v1/devops/ws", "/sandbox/status", "/"):
        status, _, _ = ask(server, head(path, upgrade + key))
        assert status not in (101, 500), path
    # The path of runners without an upgrade.
    status, headers, _ = ask(server, head("/public/v1/devops/ws/ENV-1/one"))
    assert (status, headers["upgrade"]) == (426, "websocket")


# -- tasks


def test_order_is_a_task_whose_result_counts(connect: Connect, catalog: make.Catalog) -> None:
    with connect() as one:
        one.set_up()
        row = make.order(catalog)
        task = one.receive()
        assert task["input"] == {"event_type": PURCHASE, "object_id": row.pk, "data": {}}
        options = task["options"]
        assert options["task_category"] == "background"
        # One of an extension for products acts with the key of its runner.
        assert options["api_key"] is None and options["installation_id"] is None
        assert len(options["connect_correlation_id"].split("-")) == 4
        assert _status(task) == "processing"
        waits = settling.waiting_for(clock.now(), settle=0)
        assert [each.text for each in waits] == [
            f"Task {options['task_id']} of an extension has not ended."
        ]
        one.answer(task, message="Done.")
        _ended(task)
        assert settling.waiting_for(clock.now(), settle=0) == []
        # Orders before the connection wait.
    make.order(catalog)
    with connect() as one:
        one.set_up()
        assert one.receive()["options"]["task_id"] != options["task_id"]


def test_extension_of_several_accounts_gets_a_key_of_the_installation(
    connect: Connect, catalog: make.Catalog, environment: Environment
) -> None:
    Extension.objects.update(type="multiaccount")
    with connect() as one:
        one.set_up()
        make.order(catalog)
        options = one.receive()["options"]
    assert options["installation_id"] == environment.installations.get().pk
    user = keys.owner(options["api_key"].removeprefix("ApiKey "))
    assert user and user.account == catalog.vendor


def test_connections_at_the_same_time_get_each_task_once(
    connect: Connect, catalog: make.Catalog
) -> None:
    with ExitStack() as stack:
        runners = [stack.enter_context(connect(uid=uid)) for uid in ("one", "two")]
        for each in runners:
            each.set_up()
        make.order(catalog, times=20)
        until(lambda: Run.objects.count() == 20, "twenty tasks that were sent")
        assert Task.objects.filter(sent=1, status="processing").count() == 20


@pytest.mark.parametrize("message", ["no JSON", '{"version": 2, "message_type": "web_task"}'])
def test_bad_message_closes_the_connection_and_keeps_its_tasks(
    connect: Connect, catalog: make.Catalog, message: str
) -> None:
    with connect() as one:
        one.set_up()
        make.order(catalog)
        task = one.receive()
        one.connection.send(message)
        assert one.closed()[0] == 1003
    with connect(running=1) as one:
        one.set_up()
        one.answer(task)
        _ended(task)


def test_runner_that_shuts_down_sends_results_and_gets_no_more_tasks(
    connect: Connect, catalog: make.Catalog
) -> None:
    with connect() as one, connect(uid="two") as two:
        one.set_up()
        make.order(catalog)
        task = one.receive()
        one.send("shutdown", None)
        one.answer(task)
        _ended(task)
        make.order(catalog)
        two.set_up()
        assert two.receive()["options"]["task_id"] != task["options"]["task_id"]
        with pytest.raises(TimeoutError):
            one.receive(wait=0)
    until(lambda: not Instance.objects.exclude(connection=None).exists(), "both ends")


# -- reconnections


def test_result_after_a_reconnect_counts(connect: Connect, catalog: make.Catalog) -> None:
    with connect() as one:
        one.set_up()
        make.order(catalog)
        task = one.receive()
        one.kill()
    with connect(running=1) as one:
        one.set_up()
        one.answer(task)
        _ended(task)
    assert Run.objects.get().result == "success"


@pytest.mark.parametrize("running", [0, 1])
def test_connection_gets_the_tasks_of_its_predecessor_that_its_runner_has_not(
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    connect: Connect,
    catalog: make.Catalog,
    running: int,
) -> None:
    settings.SIM_RUNNER_GRACE = 0
    with connect() as one:
        one.set_up()
        make.order(catalog, times=3)
        for _ in range(3):
            one.receive()
        # No sweep hands them back as those of a lost runner: it is there again at once.
        with connect(running=3) as same:
            same.set_up()
            assert one.closed()[0] == 1012
        if running:
            # It works on something, for longer than a task can last.
            monkeypatch.setitem(dispatch.LONGEST_RUNS, "background", 0.0)
        with connect(running=running) as new:
            new.set_up()
            for _ in range(3):
                task = new.receive()
                new.answer(task)
                _ended(task)
    assert Run.objects.filter(result="lost").count() == 3


def test_second_connection_of_an_instance_replaces_the_first(
    connect: Connect, catalog: make.Catalog
) -> None:
    with connect() as one:
        one.set_up()
        with connect() as two:
            two.set_up()
            code, reason = one.closed()
            assert code == 1012 and "Another connection" in reason
            make.order(catalog)
            task = two.receive()
            two.answer(task)
            _ended(task)
    until(lambda: Instance.objects.get().connection is None, "the end of the connection")


def test_nothing_is_lost_when_a_runner_is_killed_among_many_tasks(
    settings: Any, connect: Connect, catalog: make.Catalog
) -> None:
    settings.SIM_RUNNER_GRACE = 0
    with transaction.atomic():
        fan_out.record([change(catalog, object_id=f"PR-{n}") for n in range(200)])
    with connect() as one:
        one.set_up()
        for _ in range(60):
            one.answer(one.receive())
        one.kill()
    with connect(uid="two") as two:
        two.set_up()

        def is_drained() -> bool:
            with suppress(TimeoutError):
                while True:
                    two.answer(two.receive(wait=0.1))
            return not Task.objects.exclude(status="succeeded").exists()

        until(is_drained, "the results of all tasks")
    # Nothing twice but what the killed one had.
    lost = set(Run.objects.filter(result="lost").values_list("task", flat=True))
    twice = set(Task.objects.filter(sent__gt=1).values_list("pk", flat=True))
    assert twice == lost and len(lost) <= gateway.SLOTS


def test_restart_of_the_gateway_keeps_tasks_for_their_runner(
    transactional_db: None,
    settings: Any,
    tmp_path: Path,
    environment: Environment,
    who: Caller,
    catalog: make.Catalog,
) -> None:
    settings.SIM_DATA_DIR, settings.SIM_TLS_PORT = tmp_path, 0
    with serving(get_wsgi_application(), settings) as url:
        stack = ExitStack()
        one = stack.enter_context(runner(url, who.key, environment.pk))
        one.set_up()
        make.order(catalog)
        task = one.receive()
    # An orderly stop.
    assert one.closed()[0] == 1012
    stack.close()
    with (
        serving(get_wsgi_application(), settings) as url,
        runner(url, who.key, environment.pk, running=1) as one,
    ):
        one.set_up()
        one.answer(task)
        _ended(task)


def test_connections_of_a_killed_server_are_noted(environment: Environment, server: str) -> None:
    stale = environment.instances.create(
        uid="old", kind="background", connection=uuid.uuid4(), connected_at=make.AT
    )
    until(lambda: Instance.objects.get(pk=stale.pk).lost_at, "the next sweep")


# -- TLS


def test_tls_port_serves_websockets_and_the_api(
    server: str, environment: Environment, who: Caller, catalog: make.Catalog
) -> None:
    [shown] = who.get("/sandbox/extensions").json
    variables = shown["variables"]
    assert variables["ENVIRONMENT_ID"] == environment.pk
    url = f"https://{variables['SERVER_ADDRESS']}"
    bundle = variables["REQUESTS_CA_BUNDLE"]
    assert bundle == variables["SSL_CERT_FILE"] and HOST in url
    headers = {"Authorization": f"ApiKey {who.key}"}
    path = f"/public/v1/devops/services/{environment.extension_id}"
    response = requests.get(url + path, headers=headers, verify=bundle, timeout=20)
    assert response.json()["id"] == environment.extension_id
    context = ssl.create_default_context(cafile=bundle)
    with runner(url, who.key, environment.pk, tls=context) as one:
        one.set_up()
        make.order(catalog)
        one.answer(task := one.receive())
        _ended(task)


def test_tls_port_opens_by_itself_once_there_is_an_extension(
    server: str, environment: Environment, tmp_path: Path
) -> None:
    until(lambda: (tmp_path / "tls" / "bundle.pem").exists(), "the certificate")


def test_connection_that_speaks_no_tls_ends(
    server: str, who: Caller, environment: Environment
) -> None:
    [shown] = who.get("/sandbox/extensions").json
    host, _, port = shown["variables"]["SERVER_ADDRESS"].rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as line:
        line.sendall(head("/"))
        assert line.recv(100) == b""
