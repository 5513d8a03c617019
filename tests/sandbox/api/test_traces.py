"""`POST /sandbox/trace-file`: what a trace has, what it leaves out, and that it has no secret."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from checks import trace_file
from requests_queue.redaction import MASK
from sandbox.timeline import traces
from tests import make, program
from tests.api import Caller, caller
from tests.engines import until
from tests.handlers import ReceivedRequest, handler
from tests.sandbox.calling import catalog
from webhooks.delivery.engine import Engine
from webhooks.models import Attempt, Webhook

__all__ = ["catalog"]

SECRET = "JWT-canary-of-the-webhook-0001"
HEADER = "canary of a header=0002"
DEEP = json.loads("[" * 300 + "]" * 300)
EMPTY = {"object": None, "webhook": None, "reasons": [], "near_misses": [], "evidence": []}
pytestmark = pytest.mark.django_db(transaction=True)


def trace(client: Caller, **about: Any) -> bytes:
    """Return the file that the sandbox makes."""
    body = json.dumps({"name": "test_order.py::test_it", "since": "0.0", **about})
    headers = {"Authorization": f"ApiKey {client.key}"}
    answer = client.client.post("/sandbox/trace-file", body, "application/json", headers=headers)
    assert answer.status_code == 200, answer.content
    return bytes(answer.content)


def test_trace_has_all_that_happened_and_no_secret(
    catalog: make.Catalog, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    client = caller(catalog.vendor)
    assert client.key
    key = client.key.partition(":")[2]

    def respond(request: ReceivedRequest) -> tuple[int, bytes]:
        return 500, f"{SECRET} {HEADER} {client.key} {request.token} http://u:canary@h/".encode()

    with handler(respond) as served:
        hook = make.webhook(catalog, served.url, jwt_secret=SECRET, headers={"X-Api-Key": HEADER})
        order = make.order(catalog).pk
        until(Attempt.objects.exists, "an attempt is recorded")
    path = f"/requests/{order}"
    value = {"asset": {"params": [{"id": "domain", "value": SECRET}], "note": HEADER}}
    client.get(path)
    client.put(path, value)
    client.get(f"{path}?note={SECRET}")
    failure = {**EMPTY, "text": f"Expected {SECRET}\x1b[2J", "object": order}
    log = f"{client.key} {HEADER}"
    data = trace(client, failures=[failure], seed=7, report=served.received[0].token, log=log)
    file = tmp_path / f"it{trace_file.SUFFIX}"
    trace_file.save(data, file)
    assert file.stat().st_mode & 0o777 == 0o600

    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.namelist() == [f"{name}.json" for name in trace_file.PARTS]
    texts = b"".join(archive.read(name) for name in archive.namelist()) + data
    signature = served.received[0].token.rpartition(".")[2]
    for secret in ("canary-of-the", "canary of", "u:canary", key, signature):
        assert secret.encode() not in texts, secret
    content = trace_file.unpack(data)
    about = content["trace"]
    assert about["failures"][0]["text"] == f"Expected {MASK}\x1b[2J"
    assert (about["seed"], about["result"], about["kind"]) == (7, "failed", "test")
    moment = about["moment"]
    [row] = content["deliveries"]
    assert (moment["object"], moment["webhook"]) == (order, hook.pk)
    assert (moment["delivery"], moment["attempt"]) == (row["id"], 1)
    assert row["attempts"][0]["response"]["status"] == 500
    assert [call["method"] for call in content["calls"]] == ["GET", "PUT", "GET"]
    [known] = [each for each in content["state"] if each["object"] == order]
    assert known["moments"][0]["values"] is None and known["moments"][-1]["values"]["id"] == order
    assert not any(about["left_out"].values())

    text = program.run("trace", str(file))
    lines = text.splitlines()
    assert len(lines) <= 30 and max(map(len, lines)) <= 120
    assert lines[0] == "FAILED: test_order.py::test_it" and "\x1b" not in text
    delivery = f"Delivery {row['id']} to {hook.pk}:"
    for shown in (f"Expected {MASK}␛[2J", delivery, f"{order} is pending"):
        assert shown in text
    assert program.run_json("trace", str(file)) == content


def test_trace_has_the_latest_rows_within_its_limits(
    catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = caller(catalog.vendor)
    make.webhook(catalog)
    orders = [make.order(catalog).pk for _ in range(3)]
    for order in orders:
        client.get(f"/requests/{order}")
    monkeypatch.setattr(traces, "ENTRIES", 3)
    monkeypatch.setattr(traces, "DELIVERIES", 0)
    monkeypatch.setattr(traces, "CALLS", 2)
    content = trace_file.unpack(trace(client))
    assert [entry["kind"] for entry in content["timeline"]] == ["api_call"] * 3
    assert [call["objects"] for call in content["calls"]] == [[pk] for pk in orders[1:]]
    left_out = content["trace"]["left_out"]
    assert left_out == {"entries": 6, "deliveries": 3, "calls": 1, "moments": 0}
    since = client.get("/sandbox/cursor").json["cursor"]
    later = trace_file.unpack(trace(client, since=since, result="passed"))
    assert later["timeline"] == [] and later["trace"]["moment"]["cursor"] is None
    monkeypatch.setattr(trace_file, "MAX_ROWS", 100)
    assert trace_file.unpack(trace(client))["calls"] == []


def test_secrets_are_replaced_before_texts_are_cut(
    catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where one account's secret begins as another one does."""
    client = caller(catalog.vendor)
    secrets = {catalog.vendor: SECRET, catalog.provider: f"{SECRET}-and-more"}
    for number, (owner, secret) in enumerate(secrets.items(), 1):
        hook = make.webhook(catalog, n=number, jwt_secret=secret)
        Webhook.objects.filter(pk=hook.pk).update(account=owner)
    text = "Expected 200."
    evidence = [{"title": "Reply", "lines": [f"{'x' * 20}{SECRET}-and-more", "y" * 60]}]
    monkeypatch.setattr(trace_file, "LONGEST", 40)
    failures = [{**EMPTY, "text": text, "evidence": evidence}]
    content = trace_file.unpack(trace(client, failures=failures, log="a" * 50 + "end"))["trace"]
    [shown] = content["failures"][0]["evidence"]
    assert shown["lines"] == [f"{'x' * 20}{MASK}", f"{'y' * 40}… (60 characters)"]
    assert content["log"] == "a" * 37 + "end"


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"since": "now"}, "is not a cursor"),
        ({"name": 3}, "name"),
        ({"kind": "run"}, "kind"),
        ({"seed": True}, "seed"),
        ({"versions": {"python": 3}}, "versions.python has the wrong type"),
        ({"failures": "x"}, "failures"),
        ({"failures": [DEEP]}, "nested deeper than 60 levels"),
        ({"failures": [{**EMPTY}]}, "failures[0].text is missing"),
        ({"failures": [{**EMPTY, "text": "", "evidence": [{}]}]}, "failures[0].evidence[0].title"),
    ],
)
def test_wrong_input_is_refused(catalog: make.Catalog, about: dict[str, Any], said: str) -> None:
    body = {"name": "it", "since": "0.0", **about}
    answer = caller(catalog.vendor).post("/sandbox/trace-file", body)
    assert answer.status == 400 and said in str(answer.json), answer
    assert caller(catalog.vendor).post("/sandbox/trace-file").status == 400
    assert Caller(None).post("/sandbox/trace-file", body).status == 401
    assert Webhook.objects.count() == 0
