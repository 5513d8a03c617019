"""The first steps on Home: ways to start, commands, secrets, and what is done."""

from __future__ import annotations

import json
import socket
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from portal.home import first_steps
from portal.home.first_steps import CommandLine
from requests_queue import clock
from requests_queue.catalog import keys
from requests_queue.catalog.models import Account
from sandbox.pages import panels as sandbox_steps
from tests import html, make
from tests.html import Element
from tests.portal.webhooks import attempt
from tests.signed_in import distributor, stranger, vendor  # noqa: F401  (fixtures)
from webhooks.models import Delivery, Event, Webhook

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
KEY = "SU-123-456-789:c0ffee00-canary-never-shown-5ec3e7"
STEPS = "#first-steps"


def command_line(url: str = "http://127.0.0.1:9/") -> CommandLine:
    return CommandLine(
        listen="sim listen",
        listen_and_approve="sim listen --approve",
        url=url,
        order="sim queue add fulfillment --product",
        install_pytest="pip install plugin",
        own_url=url,
        api_key=lambda account: KEY if account.is_vendor else "",
    )


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the installation have commands, and nothing that listens."""
    monkeypatch.setattr(first_steps, "COMMAND_LINES", [command_line])


def steps(client: Client, query: str = "", **headers: str) -> Element:
    return html.get(client, f"/{query}", **headers).one(STEPS)


def command(shown: Element, name: str) -> str:
    return shown.one(f"#command-{name}").raw_text


def ways(shown: Element) -> list[str]:
    return [link.text for link in shown.one("nav").all("a")]


# -- ways to start


def test_vendor_starts_with_a_handler_a_language_or_pytest(vendor: Client, tools: None) -> None:
    for query in ("", "?start=nonsense"):
        shown = steps(vendor, query)
        assert ways(shown) == ["Bundled handler", "Python", "Node.js", "PHP", "Other", "pytest"]
        assert shown.one("nav [aria-current]").text == "Bundled handler"
        assert command(shown, "handler") == "sim listen --approve"
    assert command(steps(vendor, "?start=pytest"), "1") == "pip install plugin"


def test_distributor_does_not_approve(distributor: Client, tools: None) -> None:
    shown = steps(distributor)
    assert ways(shown) == ["Bundled handler", "Other"]
    assert command(shown, "handler") == "sim listen"
    assert not shown.all("#step-approved")


def test_server_has_no_commands_of_a_sandbox(
    vendor: Client, monkeypatch: pytest.MonkeyPatch, catalog: make.Catalog
) -> None:
    monkeypatch.setattr(first_steps, "COMMAND_LINES", [])
    shown = steps(vendor, Host="localhost:9000")
    assert ways(shown) == ["Python", "Node.js", "PHP", "Other"]
    assert shown.by_role("link", "Create webhook")["href"] == "/webhooks/new/"
    order = command(shown, "order")
    assert order.startswith("curl -s http://localhost:9000/public/v1/")
    assert catalog.connection.pk in order and "KEY-OF-THE-DISTRIBUTOR" in order
    assert vendor.post("/home/webhook/")["Location"] == "/webhooks/new/"


@pytest.mark.parametrize(
    ("way", "file", "start"),
    [("python", "handler.py", "python3"), ("node", "handler.mjs", "node"),
     ("php", "handler.php", "php")],
)  # fmt: skip
def test_commands_of_a_language_fetch_and_start_a_handler(
    vendor: Client, tools: None, way: str, file: str, start: str
) -> None:
    lines = command(steps(vendor, f"?start={way}", Host="localhost:9000"), "handler").splitlines()
    assert lines[:2] == [
        f"curl -sS -o {file} http://localhost:9000/static/portal/handlers/{way}/{file}",
        "export CONNECT_API_URL=http://localhost:9000/public/v1",
    ]
    assert lines[-1].startswith(start) and lines[-1].endswith(file)


# -- secrets


def test_secrets_are_masked_until_they_are_revealed(vendor: Client, tools: None) -> None:
    shown = steps(vendor, "?start=python")
    assert "export CONNECT_API_KEY='ApiKey SU-123-456-789:••••••••'" in command(shown, "handler")
    assert "*****" in command(shown, "webhook") and "canary" not in shown
    assert not LogEntry.objects.exists()
    for headers in ({}, HTMX):
        page = html.parse(vendor.post("/home/reveal/", {"start": "python"}, headers=headers))
        shown = page.one(STEPS)
        assert f"export CONNECT_API_KEY='ApiKey {KEY}'" in command(shown, "handler")
        secret = command(shown, "handler").partition("JWT_SECRET=")[2].splitlines()[0]
        assert len(secret) >= 32 and f'"jwt_secret": "{secret}"' in command(shown, "webhook")
        assert bool(page.all("html")) is not bool(headers) and not page.all("[hx-swap-oob]")
    texts = [entry.get_change_message() for entry in LogEntry.objects.all()]
    assert texts == ["Revealed an API key and a JWT secret in the first steps."] * 2
    assert "canary" not in steps(vendor, "?start=python")
    assert vendor.get("/home/reveal/").status_code == 405
    assert Client().post("/home/reveal/").status_code == 303


def test_key_is_that_of_the_viewers_account(
    settings: Any, tmp_path: Path, catalog: make.Catalog
) -> None:
    assert sandbox_steps.api_key(catalog.vendor) == ""
    own, others = keys.new_key(), keys.new_key()
    keys.store(catalog.vendor, own, "vendor")
    keys.store(catalog.provider, others, "provider")
    settings.SIM_DATA_DIR = tmp_path
    content = {"url": "", "vendor_api_key": own, "provider_api_key": others}
    (tmp_path / "sandbox.json").write_text(json.dumps(content))
    accounts = catalog.vendor, catalog.provider, Account(pk="VA-999-999")
    assert [sandbox_steps.api_key(account) for account in accounts] == [own, others, ""]


def test_commands_name_the_folder_of_the_keys(settings: Any, tmp_path: Path) -> None:
    settings.SIM_DATA_DIR = tmp_path / "a folder"
    listen = sandbox_steps.command_line().listen_and_approve
    assert listen.endswith(f" listen --approve --data-dir '{tmp_path}/a folder'")
    settings.SIM_DATA_DIR = Path.cwd() / "var"
    assert sandbox_steps.command_line().listen_and_approve.endswith(" listen --approve")
    settings.SIM_IN_CONTAINER = True
    assert sandbox_steps.command_line().own_url == "http://host.docker.internal:9000/"


# -- the webhook


def test_button_creates_the_webhook_once(
    vendor: Client, tools: None, catalog: make.Catalog
) -> None:
    assert steps(vendor).by_role("button", "Create webhook")
    for _ in range(2):
        assert vendor.post("/home/webhook/", {"start": "node"})["Location"] == "/?start=node"
    row = Webhook.objects.get()
    expected = {
        "account": catalog.vendor,
        "product": catalog.product,
        "active": True,
        "external_url": "http://127.0.0.1:9/",
        "created_by": catalog.vendor_user,
    }
    assert {name: getattr(row, name) for name in expected} == expected
    shown = steps(vendor, "?start=node")
    assert shown.by_role("link", "View webhook")["href"] == f"/webhooks/{row.pk}/"
    page = html.parse(vendor.post("/home/reveal/", {"start": "node"}))
    assert f"export JWT_SECRET={row.jwt_secret}" in command(page, "handler")


def test_commands_have_the_secret_of_the_webhook_that_exists(
    vendor: Client, tools: None, catalog: make.Catalog
) -> None:
    secret = "JWT-of-a-webhook-that-exists-already"
    make.webhook(catalog, external_url="http://127.0.0.1:9/", jwt_secret=secret)
    page = html.parse(vendor.post("/home/reveal/", {"start": "php"}))
    assert f"export JWT_SECRET={secret}" in command(page, "handler")


def test_account_without_products_can_open_home(stranger: Client, tools: None) -> None:
    assert steps(stranger)


# -- what is done


def test_steps_are_marked_when_they_have_happened(
    vendor: Client, catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch, tools: None
) -> None:
    def done() -> list[str]:
        marks = html.get(vendor, "/home/live/?steps=1", **HTMX).all("[id^=step-][hx-swap-oob]")
        names = {mark["id"]: "data-done" in mark.attributes for mark in marks}
        assert list(names) == ["step-handler", "step-webhook", "step-delivery", "step-approved"]
        return [name.removeprefix("step-") for name, is_done in names.items() if is_done]

    assert done() == []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        monkeypatch.setattr(first_steps, "COMMAND_LINES", [lambda: command_line(url)])
        assert done() == ["handler"]
    row = make.webhook(catalog, events=1)
    assert done() == ["webhook"]
    row.last_success = attempt(row, outcome="success", status_code=200)
    row.success_triggers = 1
    row.save()
    assert done() == ["handler", "webhook", "delivery"]
    assert html.get(vendor, "/").all(STEPS)
    now = clock.now()
    delivery = Delivery.objects.create(webhook=row, created_at=now + timedelta(seconds=1))
    Event.objects.create(
        webhook=row, delivery=delivery, object_id="PR-1", status_to="approved", at=now
    )
    assert done() == ["handler", "webhook", "delivery", "approved"]
    shown = [html.get(vendor, path).all(STEPS) for path in ("/", "/?start=php")]
    assert list(map(bool, shown)) == [False, True]


def test_account_with_many_events_is_not_new(vendor: Client, catalog: make.Catalog) -> None:
    make.webhook(catalog, events=501)
    assert not html.get(vendor, "/").all(STEPS)


def test_steps_are_hidden_until_a_way_is_chosen(vendor: Client, tools: None) -> None:
    assert vendor.post("/home/hide/")["Location"] == "/"
    assert not html.get(vendor, "/").all(STEPS)
    assert html.get(vendor, "/?start=python").all(STEPS)
    assert vendor.get("/home/hide/").status_code == 405


def test_polled_part_has_no_steps_unless_requested(vendor: Client, tools: None) -> None:
    page = html.get(vendor, "/home/live/", **HTMX)
    assert not page.all("#step-handler") and not page.all("html")
    # The steps with pytest happen in another sandbox, so none is marked.
    assert html.get(vendor, "/?start=pytest").one("#live")["hx-get"] == "/home/live/"
