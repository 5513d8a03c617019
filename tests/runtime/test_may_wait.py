"""Threads of validations: only for clients with a valid API key, a form's code, or a session."""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.wsgi import get_wsgi_application

from connect_sim.server import django_app
from requests_queue.catalog.models import Contract
from requests_queue.operations import QUESTION
from requests_queue.queues.usage_file import processing
from sandbox.models import ApiCall
from sandbox.timeline import api_calls
from tests import make
from tests.api import caller
from tests.queue import spreadsheets as sheets
from tests.runtime.serving import ask, connect, exchange, head, read, serving
from tests.signed_in import signed_in

pytestmark = pytest.mark.django_db(transaction=True)
VALIDATE = "/public/v1/requests/PR-1111-1111-1111-001/validate"


@dataclass
class Served:
    """Django at a socket; `threads` are those in which requests were served."""

    url: str
    threads: list[str] = field(default_factory=list)
    asked: queue.Queue[str] = field(default_factory=queue.Queue)

    def post(self, target: str, *headers: str) -> tuple[int, dict[str, str], bytes]:
        more = "".join(f"{header}\r\n" for header in headers).encode()
        return ask(self.url, head(target, more, "POST"))


@pytest.fixture
def served(settings: Any) -> Iterator[Served]:
    django = get_wsgi_application()

    def wsgi(environ: dict[str, Any], start: Any) -> Any:
        if QUESTION not in environ:
            served.threads.append(threading.current_thread().name.rpartition("-")[0])
        else:
            served.asked.put(environ[QUESTION])
        return django(environ, start)

    served = Served("")
    with serving(wsgi, settings) as served.url:
        yield served


@pytest.mark.parametrize("header", [
    "X-Other: 1", "Authorization: ApiKey SU-000-000-000:0123456789", "Authorization: Bearer x",
])  # fmt: skip
@pytest.mark.parametrize("target", [VALIDATE, f"/{VALIDATE}/", "/public/v1/x/validate"])
def test_call_without_a_valid_key_uses_no_thread_of_validations(
    served: Served, target: str, header: str
) -> None:
    status, headers, content = served.post(target, header)
    assert status == 401 and b'"AUTH_001"' in content
    assert headers["www-authenticate"] == "ApiKey"
    assert served.threads == []


@pytest.mark.parametrize("query", ["", "?code=", "?code=wrong", "?code={code}&code={code}"])
@pytest.mark.parametrize("target", ["/forms/{pk}", "//forms/{pk}/check", "/forms/", "/forms/PR-1"])
def test_form_without_its_code_uses_no_thread_of_validations(
    served: Served, target: str, query: str
) -> None:
    row = make.order(make.catalog())
    address = (target + query).format(pk=row.pk, code=row.form_code)
    assert served.post(address)[0] == 404
    assert served.threads == []


def test_page_without_a_session_uses_no_thread_of_validations(served: Served) -> None:
    status, headers, _ = served.post("/queues/fulfillment/PR-1/validate/")
    assert (status, headers["location"]) == (303, "/sign-in/")
    assert served.post("/queues/fulfillment/PR-1/validate/", "HX-Request: true")[0] == 403
    assert served.threads == []


def test_clients_that_may_wait_use_threads_of_validations(served: Served) -> None:
    catalog = make.catalog()
    row = make.order(catalog)
    key = f"Authorization: ApiKey {caller(catalog.vendor).key}"
    cookies = signed_in(catalog.vendor_user).cookies
    session = f"Cookie: {cookies[django_settings.SESSION_COOKIE_NAME].OutputString()}"
    assert served.post(VALIDATE, key)[0] == 404
    # Without the CSRF token of the page.
    assert served.post(f"/forms/{row.pk}?code={row.form_code}")[0] == 403
    assert served.post("/queues/fulfillment/PR-1/validate/", session)[0] == 403
    assert served.threads == ["waits-for-validator"] * 3


def test_form_is_shown_by_ordinary_threads(served: Served) -> None:
    row = make.order(make.catalog())
    assert ask(served.url, head(f"/forms/{row.pk}?code={row.form_code}"))[0] == 200
    assert served.threads == ["web"]


# -- submits of usage files that are being read


@dataclass
class Submit:
    """The submit of a file that no worker has read."""

    pk: str
    sent: bytes


@pytest.fixture
def submit() -> Submit:
    catalog = sheets.catalog()
    vendor = caller(catalog.vendor)
    body = {
        "name": "November",
        "product": {"id": catalog.product.pk},
        "contract": {"id": Contract.objects.get(vendor=catalog.vendor).pk},
    }
    pk = vendor.post("/usage/files", body).json["id"]
    content = sheets.xlsx(sheets.table([sheets.row()]))
    assert sheets.send(vendor, f"/usage/files/{pk}/upload", content).status == 201
    api_calls.clear()
    key = f"Authorization: ApiKey {vendor.key}\r\n".encode()
    return Submit(pk, head(f"/public/v1/usage/files/{pk}/submit", key, "POST"))


def test_submit_waits_without_a_thread_until_the_file_is_read(
    served: Served, submit: Submit
) -> None:
    with connect(served.url) as line:
        line.sendall(submit.sent)
        for _ in range(3):
            assert served.asked.get(timeout=10) == "may wait"
        # The only thread is free.
        assert served.post(VALIDATE)[0] == 401
        processing.run(submit.pk)
        status, _, content = read(line)
    assert (status, json.loads(content)["status"]) == (200, "pending")
    assert served.threads == ["web"]
    # It is one call, which began when it arrived.
    api_calls.flush()
    [call] = ApiCall.objects.filter(path__endswith="/submit")
    assert call.status == 200 and call.duration > 100


def test_submit_that_half_closes_waits_too(served: Served, submit: Submit) -> None:
    with connect(served.url) as line:
        line.sendall(submit.sent)
        line.shutdown(socket.SHUT_WR)
        for _ in range(3):
            assert served.asked.get(timeout=10) == "may wait"
        processing.run(submit.pk)
        assert read(line)[0] == 200


def test_submit_of_a_file_of_others_does_not_wait(served: Served, submit: Submit) -> None:
    key = f"Authorization: ApiKey {caller(make.catalog('2').vendor).key}"
    assert served.post(f"/public/v1/usage/files/{submit.pk}/submit", key)[0] == 404
    assert served.asked.qsize() == 1


def test_submit_is_refused_when_its_wait_is_over(
    served: Served, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(django_app, "SUBMIT_WAITS", 0.1)
    assert ask(served.url, submit.sent)[0] == 400
    assert served.threads == ["web"]


def test_submits_beyond_the_limit_do_not_wait(
    served: Served, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(django_app, "MAX_SUBMITS", 1)
    with connect(served.url) as first, connect(served.url) as second:
        first.sendall(submit.sent)
        for _ in range(2):
            served.asked.get(timeout=10)
        assert exchange(second, submit.sent)[0] == 400
        processing.run(submit.pk)
        assert read(first)[0] == 200


def test_stopping_server_ends_waiting_submits(
    settings: Any, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    django, asked = get_wsgi_application(), threading.Semaphore(0)

    def wsgi(environ: dict[str, Any], start: Any) -> Any:
        asked.release()
        return django(environ, start)

    with contextlib.ExitStack() as stack:
        with serving(wsgi, settings) as url:
            line = stack.enter_context(connect(url))
            line.sendall(submit.sent)
            assert asked.acquire(timeout=10) and asked.acquire(timeout=10)
        status, _, content = read(line)
    assert (status, json.loads(content)["error_code"]) == (503, "SYS_503")
