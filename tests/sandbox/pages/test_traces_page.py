"""The page of a trace: who sees it, that it is safe, and how many are kept."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from checks import trace_file
from requests_queue.catalog.models import User
from sandbox.timeline import trace_storage
from tests import html
from tests.api import Caller, Response, caller
from tests.sandbox.calling import catalog
from tests.sandbox.snapshot_files import files
from tests.signed_in import signed_in
from tests.unit.checks.traces import content

__all__ = ["catalog"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def data_dir(settings: Any, tmp_path: Path) -> Path:
    """A data folder of the test's own."""
    settings.SIM_DATA_DIR = tmp_path
    return tmp_path


@pytest.fixture
def root(catalog: Any) -> Client:
    """An administrator."""
    return signed_in(User.objects.create(username="root", is_staff=True, is_superuser=True))


def send(who: Caller, data: bytes) -> Response:
    """Send a file as a client of the API does."""
    return files.send(who, data, to="traces")


def test_administrator_sees_the_trace_of_another_sandbox(catalog: Any, root: Client) -> None:
    answer = send(caller(catalog.vendor), trace_file.pack(content()))
    assert answer.status == 201
    path = answer.json["path"]
    assert path == f"/traces/{answer.json['id']}/"
    page = html.get(root, path)
    for text in (
        "Trace of test_order.py::test_it",
        "Expected PR-1 to be approved within 5 s",
        "Near: PR-1, status: expected approved, was pending",
        "delivery 7, attempt 1: 500, 8 ms",
        "Delivery 7, attempt 1",
        "KeyError: 'mailbox'",
        "PUT /public/v1/requests/PR-1",
        "400 VAL_001",
        "ExpectationError",
    ):
        assert text in page, text
    assert page.rows()[0] == ["PR-1", "status", '"pending" → "approved"']
    # Nothing of it is changed or sent from here.
    assert [form for form in page.all("form") if form.get("action").startswith("/traces/")] == []
    assert html.get(signed_in(catalog.vendor_user), path, 404)
    assert "/sign-in/" in Client().get(path)["Location"]


def test_texts_of_others_are_escaped(root: Client) -> None:
    nasty = "<script>alert(1)</script>\x1b[2J\u202e\ud800"
    changed = content()
    changed["trace"] |= {"name": nasty, "report": nasty, "log": nasty, "reproduce": nasty}
    changed["trace"]["versions"] = {nasty: nasty}
    failure = changed["trace"]["failures"][0]
    failure |= {"text": nasty, "evidence": [{"title": nasty, "lines": [nasty]}]}
    attempt = changed["deliveries"][0]["attempts"][0]
    attempt |= {"error": nasty, "outcome": nasty}
    attempt["request"] |= {"url": nasty, "method": nasty, "body": nasty}
    attempt["response"]["body"] = nasty
    changed["calls"][0] |= {"path": nasty, "query": nasty, "response_body": nasty}
    changed["state"][0]["moments"][2]["values"][nasty] = nasty
    changed["timeline"][0]["data"]["to"] = nasty
    pk = trace_storage.save(trace_file.pack(changed))
    text = root.get(f"/traces/{pk}/").content.decode()
    assert "<script>alert" not in text and not set(text) & {"\x1b", "\u202e"}
    assert text.count("&lt;script&gt;alert") >= 12


@pytest.mark.parametrize("pk", ["0" * 32, "..%2f..", "connect", "0" * 31 + "/"])
def test_there_is_no_other_trace(root: Client, pk: str) -> None:
    assert root.get(f"/traces/{pk}/").status_code == 404


def test_latest_traces_are_kept(root: Client, data_dir: Path) -> None:
    data = trace_file.pack(content())
    kept = []
    for moment in range(trace_storage.MAX_TRACES + 2):
        kept.append(trace_storage.save(data))
        file = data_dir / "traces" / f"{kept[-1]}{trace_file.SUFFIX}"
        assert file.stat().st_mode & 0o777 == 0o600
        os.utime(file, (moment, moment))
    statuses = [root.get(f"/traces/{pk}/").status_code for pk in kept]
    assert statuses == [404, 404, *[200] * trace_storage.MAX_TRACES]
    file.write_bytes(b"damaged")
    assert root.get(f"/traces/{kept[-1]}/").status_code == 404


def test_other_file_is_refused(catalog: Any, data_dir: Path) -> None:
    answer = send(caller(catalog.vendor), b"no trace")
    assert answer.status == 400 and "file: It is not a trace" in str(answer.json)
    assert send(Caller(None), b"no trace").status == 401
    assert not (data_dir / "traces").exists()
