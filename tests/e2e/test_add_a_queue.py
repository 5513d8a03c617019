"""The steps of docs/add-a-queue.md in a copy of the project: an eighth queue."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests import doc_blocks, orders
from tests.handlers import handler
from tests.processes import ROOT, Sandbox, copy_first_data, environment, output, sandbox
from tools import project

PAGE = "docs/add-a-queue.md"
FOLDER = "requests_queue/queues/refund"
FILES = re.compile(r"^`([^`\n]+)`:\n\n```python\n(.*?)^```", re.M | re.S)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the code of the page."""
    folder = tmp_path_factory.mktemp("project")
    for room in project.PACKAGES:
        shutil.copytree(ROOT / room, folder / room)
    for name in ("manage.py", "connect-sim", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    # The interpreter in the page's commands.
    (folder / ".venv").symlink_to(sys.prefix)
    for path, text in FILES.findall((ROOT / PAGE).read_text()):
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text)
    return folder


def command(line: str, tree: Path, env: dict[str, str]) -> str:
    return output(line.split(), env, tree)


@pytest.fixture(scope="module")
def commands() -> list[str]:
    return "".join(doc_blocks.read("sh", PAGE).values()).splitlines()


@pytest.fixture(scope="module")
def running(
    tree: Path, commands: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sandbox]:
    data = tmp_path_factory.mktemp("sandbox")
    env = environment(data, PYTHONPATH=str(tree))
    assert commands[0].split()[2:] == ["makemigrations", "refund"]
    command(commands[0], tree, env)
    copy_first_data(data)
    with sandbox(data, tree, PYTHONPATH=str(tree)) as running:
        yield running
        running.process.kill()


@pytest.fixture(scope="module")
def browser(running: Sandbox, tree: Path) -> Iterator[requests.Session]:
    """A session in which the administrator is signed in."""
    link = command(".venv/bin/python manage.py signin", tree, running.process.env).strip()
    with requests.Session() as browser:
        browser.get(link, timeout=10)
        yield browser


@pytest.fixture(scope="module")
def refunds(running: Sandbox, tree: Path, commands: list[str]) -> list[str]:
    """The ids that the page's other commands printed."""
    printed = [command(line, tree, running.process.env) for line in commands[1:]]
    assert len(printed) == 2
    assert all(re.fullmatch(r"RF-\d{3}-\d{3}-\d{3} pending\n", line) for line in printed)
    return [line.split()[0] for line in printed]


def _paths(tree: Path) -> set[str]:
    return {
        str(path.relative_to(tree))
        for path in tree.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and ".venv" not in path.parts
    }


def test_new_queue_changes_its_folder_only(running: Sandbox, tree: Path) -> None:
    new = {path for path in _paths(tree) if not (ROOT / path).exists()}
    assert new > {f"{FOLDER}/api.py", f"{FOLDER}/migrations/0001_initial.py"}
    assert all(path.startswith(FOLDER) for path in new)
    changed = [p for p in _paths(tree) - new if (tree / p).read_bytes() != (ROOT / p).read_bytes()]
    assert changed == []


def test_code_of_the_page_passes_lint(running: Sandbox, tree: Path) -> None:
    ruff = str(Path(sys.executable).parent / "ruff")
    for check in (["check"], ["format", "--check"]):
        output([ruff, *check, "--no-cache", FOLDER], dict(os.environ), tree)


def test_new_queue_has_samples(running: Sandbox, refunds: list[str]) -> None:
    first, second = (running.as_vendor("GET", f"/refunds/{pk}") for pk in refunds)
    assert (first["type"], second["type"]) == ("outage", "goodwill")
    assert second["product"]["id"] == "PRD-814-505-018"


def test_new_queue_has_an_api(running: Sandbox) -> None:
    body = {"subject": "Where are the logs?", "product": {"id": orders.PLAIN}}
    refund = running.as_distributor("POST", "/refunds", body)
    listed = running.call("GET", f"/public/v1/refunds?eq(id,{refund['id']})&limit=1")
    assert [row["id"] for row in listed.json()] == [refund["id"]]
    assert listed.headers["Content-Range"] == "items 0-0/1"
    place = f"/refunds/{refund['id']}"
    inquired = running.as_vendor("POST", f"{place}/inquire", {"reason": "Which logs?"})
    assert (inquired["status"], inquired["reason"]) == ("inquiring", "Which logs?")
    refused = running.call("POST", f"/public/v1{place}/grant")
    assert refused.json()["errors"] == [f"{refund['id']} is inquiring: grant is for pending only."]
    assert running.call("POST", f"/public/v1{place}/pend").status_code == 403
    assert running.as_distributor("POST", f"{place}/pend")["status"] == "pending"
    bad: dict[str, Any] = {"subject": "?", "product": {"id": "PRD-000-000-000"}}
    refused = running.call("POST", "/public/v1/refunds", bad, key=running.provider_key)
    assert refused.json() == {
        "error_code": "VAL_001",
        "errors": ["product.id: Product PRD-000-000-000 does not exist."],
    }


def test_new_queue_has_a_webhook_type(running: Sandbox) -> None:
    with handler() as served:
        hook = orders.webhook(running, served.url, object_class="refund_request")
        body = {"subject": "Is it down?", "product": {"id": orders.PLAIN}}
        refund = running.as_distributor("POST", "/refunds", body)
        running.as_vendor("POST", f"/refunds/{refund['id']}/grant")
        for _ in range(2):
            request = served.next()
            assert request.json["webhook_id"] == hook["id"]
            assert request.json["object_class"] == "refund_requests"
        orders.until_stats(running, hook["id"], events=2, success_triggers=2)
        group = running.call("GET", "/sandbox/coverage").json()["groups"][-1]
        assert group["title"] == "Refund requests" and group["covered"]
        running.as_vendor("DELETE", f"/notifications/webhooks/{hook['id']}")


@pytest.mark.parametrize(
    ("path", "texts"),
    [
        ("/admin/refund/refund/", ["{0}", "Refund queue"]),
        ("/admin/refund/refund/{0}/change/", ["Grant"]),
        ("/admin/webhooks/webhook/add/", ["Refund requests — Queue Changes"]),
        ("/queues/", ["Refund requests"]),
        ("/queues/refund/", ["{0}", "{1}", 'id="column-pending"']),
        ("/queues/refund/{0}/",
         ['id="action-grant"', "A customer couldn&#x27;t sign in for a week."]),
        ("/queues/refund/new/?type=goodwill",
         ['<option value="goodwill" selected>Goodwill</option>']),
    ],
)  # fmt: skip
def test_new_queue_is_on_pages(
    running: Sandbox, browser: requests.Session, refunds: list[str], path: str, texts: list[str]
) -> None:
    page = browser.get(f"{running.url}{path.format(*refunds)}", timeout=10).text
    for text in texts:
        assert text.format(*refunds) in page


@pytest.mark.nightly(reason="portal pages run each time")
def test_its_statuses_and_actions_have_the_declared_labels_and_looks(
    running: Sandbox, browser: requests.Session, refunds: list[str]
) -> None:
    body = {"subject": "Which plan?", "product": {"id": orders.PLAIN}}
    pk = running.as_distributor("POST", "/refunds", body)["id"]
    page = f"{running.url}/queues/refund/{pk}/"
    pending = browser.get(page, timeout=10).text
    before = browser.get(f"{running.url}/queues/refund/", timeout=10).text
    running.as_vendor("POST", f"/refunds/{pk}/inquire", {"reason": "Which logs?"})
    inquiring = browser.get(page, timeout=10).text
    board = browser.get(f"{running.url}/queues/refund/", timeout=10).text
    assert '<span class="badge badge-wait">pending</span>' in pending
    buttons = re.findall(r'class="button ([\w-]*)" id="action-\w+"[^>]*>(\w+)', pending)
    assert buttons == [("", "Grant"), ("button-plain", "Ask")]
    assert '<span class="badge">waiting for the customer</span>' in inquiring
    assert "waiting for the customer" in board
    assert f'value="grant:{pk}" aria-label="Grant {pk}"' in before


def test_new_queue_has_conversations(running: Sandbox, refunds: list[str]) -> None:
    conversations = running.as_vendor("GET", f"/conversations?instance_id={refunds[0]}")
    messages = running.as_vendor("GET", f"/conversations/{conversations[0]['id']}/messages")
    assert [message["text"] for message in messages] == ["Created in status pending."]


def test_new_queue_is_in_the_openapi_document(running: Sandbox) -> None:
    document = requests.get(f"{running.url}/public/v1/schema", timeout=30).json()
    place = document["paths"]["/refunds/{id}/grant"]["post"]
    assert place["description"] == "From pending to granted, by the vendor."
    copy = requests.get(f"{running.url}/connect-openapi30.yml", timeout=30).text
    assert "/refunds/{id}/inquire:" in copy
