"""The pages of extensions: the list, and the tasks of one with their runs, secrets apart."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from extensions import actions
from extensions.messages import Setup
from extensions.models import FAILED, RETRYING, Task
from requests_queue.catalog.models import Account, User
from tests import html
from tests.api import VENDOR, Caller
from tests.sandbox import task_runner, worlds
from tests.sandbox.task_runner import PURCHASE, Runner
from tests.signed_in import signed_in

pytestmark = pytest.mark.django_db(transaction=True)
HIDDEN, SAID = "the-secret-value", "<script>alert(1)</script>"


@pytest.fixture
def living(saved: worlds.Rows) -> Runner:
    """A connected runner of the demo data's vendor, with variables."""
    made = task_runner.runner(Account.objects.get(pk=VENDOR))
    variables = [("TOKEN", HIDDEN, True), ("URL", "https://example.com", False)]
    actions.set_up(made.instance, Setup({PURCHASE: ["pending"]}, variables))
    return made


def client(username: str = "vendor") -> Client:
    return signed_in(User.objects.get(username=username))


def run(living: Runner, distributor: Caller, result: str, **more: Any) -> Task:
    """Return a task that was sent once, with this result."""
    worlds.purchase(distributor)
    [claimed] = living.claim()
    living.end(claimed, result, **more)
    return Task.objects.get(pk=claimed.pk)


def test_page_has_tasks_with_their_runs_and_no_secret(living: Runner, distributor: Caller) -> None:
    vendor, path = client(), f"/extensions/{living.environment.pk}/"
    listed = html.get(vendor, "/extensions/")
    [link] = listed.all("tbody a")
    assert link["href"] == path
    # Without products, it is for all.
    assert listed.one('[data-label="Products"]').text == "all"
    task = run(living, distributor, "retry", message=SAID)
    page = html.get(vendor, path)
    row = page.one(f'[data-task="{task.shown_id}"]')
    for text in (PURCHASE, task.object_id, RETRYING, "retry", "Failed (1 of ", SAID):
        assert text in row.text
    # It comes again by itself: there is nothing to send.
    assert not row.all("form")
    assert "https://example.com" in page.text and HIDDEN not in page.text
    assert not page.all("main script")
    assert not html.get(vendor, f"{path}?status=succeeded").all("tr[data-task]")


def test_ended_task_is_sent_again_by_its_account_only(living: Runner, distributor: Caller) -> None:
    task = run(living, distributor, "fail", message="No.")
    path = f"/extensions/{living.environment.pk}/"
    [form] = html.get(client(), path).all("tr[data-task] form")
    stranger = client("distributor")
    assert stranger.get(path).status_code == 404
    assert stranger.post(form["action"]).status_code == 404
    assert not html.get(stranger, "/extensions/").all("tbody tr")
    assert Task.objects.get().status == FAILED
    answers = [client().post(form["action"], follow=True) for _ in range(2)]
    said = [html.parse(each).one(".messages").text for each in answers]
    assert said == [
        f"{task.shown_id} is sent again.",
        f"{task.shown_id} waits to be sent already.",
    ]
    [again] = living.claim()
    assert (again.pk, again.sent) == (task.pk, 2)
