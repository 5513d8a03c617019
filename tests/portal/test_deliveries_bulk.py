"""Sending many deliveries again: selected ones, all that match, in steps."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.test import Client

from portal.deliveries import bulk
from portal.models import BulkResend
from tests import html, make
from tests.portal.delivery_rows import attempt, delivery
from tests.signed_in import distributor, vendor
from webhooks.models import Attempt, Delivery, Resend, Webhook

__all__ = ["distributor", "vendor"]

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a step send two deliveries."""
    monkeypatch.setattr(bulk, "STEP", 2)


@pytest.fixture
def rows(hook: Webhook) -> list[Delivery]:
    """Five deliveries: four were sent, and the last was not."""
    rows = [delivery(hook, f"PR-{n:04d}-0000-0000-001") for n in range(4)]
    for row in rows:
        attempt(row)
    return [*rows, delivery(hook, state="waiting")]


def select(client: Client, *rows: Delivery, **more: Any) -> Any:
    """Send the form with these rows selected."""
    sent = {"key": str(uuid.uuid4()), "which": "selected", "next": "/deliveries/?q=state:delivered"}
    return client.post("/deliveries/again/", {**sent, "delivery": [row.pk for row in rows], **more})


def selected(client: Client, *rows: Delivery) -> BulkResend:
    """Send the form; return the job that it creates."""
    select(client, *rows)
    return BulkResend.objects.get()


def run() -> None:
    """Run all steps of the jobs, while the handlers respond."""
    bulk.run(pause=lambda seconds: respond())


def respond() -> None:
    """Let the handlers respond to what is in flight."""
    for row in Delivery.objects.filter(resend__isnull=False, attempts=0):
        Delivery.objects.filter(pk=row.pk).update(state="delivered")
        attempt(row)


def repeated() -> list[int]:
    """Return the deliveries that were sent again, in the order in which that was done."""
    return [pk for pk in Resend.objects.order_by("pk").values_list("repeats", flat=True) if pk]


def test_form_has_a_box_for_each_row_that_was_sent(vendor: Client, rows: list[Delivery]) -> None:
    page = html.get(vendor, "/deliveries/?q=attempts:>=0")
    boxes = page.all('input[name="delivery"]')
    assert [box["value"] for box in boxes] == [str(row.pk) for row in rows[::-1]]
    assert all(box["form"] == "bulk-form" for box in boxes)
    assert ["disabled" in box.attributes for box in boxes] == [True, False, False, False, False]
    form = dict(page.one("#bulk-form").sent())
    assert (form["q"], form["next"]) == ("attempts:>=0", "/deliveries/?q=attempts:%3E=0")


def test_selected_deliveries_are_sent_again_in_steps(vendor: Client, rows: list[Delivery]) -> None:
    response = select(vendor, rows[2], rows[0], rows[1])
    job = BulkResend.objects.get()
    assert response.headers["Location"] == f"/deliveries/?q=state%3Adelivered&sent={job.pk}"
    assert bulk.step(job.pk)
    assert repeated() == [rows[0].pk, rows[1].pk]
    progress = html.get(vendor, response.headers["Location"]).one("#bulk-progress")
    assert "2 of 3" in progress.text and progress.get("hx-get")
    # The next step waits for the responses.
    assert not bulk.step(job.pk)
    respond()
    assert bulk.step(job.pk)
    assert repeated() == [row.pk for row in rows[:3]]
    part = html.get(vendor, f"/deliveries/again/{job.pk}/", **{"HX-Request": "true"})
    assert "Sent 3 of 3 again" in part and not part.one("#bulk-progress").get("hx-get")
    assert not bulk.step(job.pk)
    resends = {(each.delivery.forced, each.changed, each.revision) for each in Resend.objects.all()}
    assert resends == {(True, False, 0)}


def test_all_that_match_are_sent_after_a_question(vendor: Client, rows: list[Delivery]) -> None:
    response = select(vendor, which="all", q="object:PR-0")
    job = BulkResend.objects.get()
    page = html.get(vendor, response.headers["Location"])
    assert page.by_role("heading", "Send 4 deliveries again?")
    assert not bulk.step(job.pk)
    # What matches later is not included.
    attempt(delivery(rows[0].webhook, "PR-0009-0000-0000-001"))
    assert vendor.post(f"/deliveries/again/{job.pk}/start/").status_code == 303
    run()
    assert repeated() == [row.pk for row in rows[:4]]
    job.refresh_from_db()
    assert (job.state, job.sent, job.deliveries) == ("finished", 4, [])


def test_form_that_is_sent_twice_sends_once(vendor: Client, rows: list[Delivery]) -> None:
    key = str(uuid.uuid4())
    places = [select(vendor, rows[0], key=key).headers["Location"] for _ in range(2)]
    run()
    places.append(select(vendor, rows[0], key=key).headers["Location"])
    run()
    assert len(set(places)) == 1
    vendor.post(f"/deliveries/again/{BulkResend.objects.get().pk}/start/")
    run()
    assert repeated() == [rows[0].pk]


def test_interrupted_step_is_neither_lost_nor_repeated(
    vendor: Client, rows: list[Delivery], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = selected(vendor, *rows[:3])
    assert bulk.step(job.pk)
    respond()

    def end(*args: Any, **kwargs: Any) -> None:
        raise SystemExit

    with monkeypatch.context() as ending, pytest.raises(SystemExit):
        ending.setattr(BulkResend, "save", end)
        bulk.step(job.pk)
    assert repeated() == [rows[0].pk, rows[1].pk]
    # Another process continues.
    run()
    assert repeated() == [row.pk for row in rows[:3]]


def test_rest_of_a_job_can_be_cancelled(vendor: Client, rows: list[Delivery]) -> None:
    job = selected(vendor, *rows[:3])
    bulk.step(job.pk)
    respond()
    vendor.post(f"/deliveries/again/{job.pk}/cancel/")
    bulk.run()
    assert repeated() == [rows[0].pk, rows[1].pk]
    page = html.get(vendor, f"/deliveries/?sent={job.pk}")
    assert "Cancelled after 2 of 3" in page.one("#bulk-progress").text


def test_what_cannot_be_sent_is_counted_with_its_reason(
    vendor: Client, rows: list[Delivery], catalog: make.Catalog
) -> None:
    off = make.webhook(catalog, n=2)
    attempt(other := delivery(off))
    Attempt.objects.filter(delivery=rows[1]).update(claims={}, request_body="")
    job = selected(vendor, rows[0], rows[1], other)
    Webhook.objects.filter(pk=off.pk).update(active=False)
    run()
    job.refresh_from_db()
    reason = f"{off.pk} is disabled: enable it to send again."
    assert (job.sent, job.not_sent, job.refused) == (1, 2, reason)
    assert repeated() == [rows[0].pk]


def test_resend_of_an_altered_resend_is_altered(vendor: Client, rows: list[Delivery]) -> None:
    altered = delivery(rows[0].webhook)
    Resend.objects.create(
        delivery=altered,
        repeats=rows[0],
        number=1,
        changed=True,
        revision=None,
        url="http://127.0.0.1:9/new",
        method="POST",
        payload="{}",
    )
    attempt(altered)
    select(vendor, altered, rows[0])
    run()
    by_repeated = dict(Resend.objects.filter(changed=False).values_list("repeats", "revision"))
    assert by_repeated == {altered.pk: None, rows[0].pk: 0}


def test_other_accounts_deliveries_and_jobs_are_refused(
    vendor: Client, distributor: Client, rows: list[Delivery]
) -> None:
    select(distributor, *rows[:2])
    for webhook in ("", rows[0].webhook_id):
        select(distributor, which="all", q="", webhook=webhook)
    assert not BulkResend.objects.exists()
    job = selected(vendor, rows[0])
    at = f"/deliveries/again/{job.pk}/"
    responses = (
        distributor.get(at),
        distributor.post(f"{at}start/"),
        distributor.post(f"{at}cancel/"),
    )
    assert [response.status_code for response in responses] == [404, 404, 404]
    assert not html.get(distributor, f"/deliveries/?sent={job.pk}").all("#bulk-progress")
    job.refresh_from_db()
    assert job.is_running


@pytest.mark.parametrize(
    "sent",
    [
        {"key": "x"}, {"key": ""}, {"delivery": ["x", "-1", "9" * 30]}, {"delivery": []},
        {"which": "all", "q": "foo:bar"}, {"which": "all", "q": "status:418"},
        {"which": "all", "webhook": "WH-999-999-999"}, {"next": "https://evil.example/"},
    ],
)  # fmt: skip
def test_wrong_form_leads_back_to_the_log(
    vendor: Client, rows: list[Delivery], sent: dict[str, Any]
) -> None:
    response = select(vendor, **sent)
    assert response.status_code == 303
    assert response.headers["Location"].startswith("/deliveries/")
    assert not BulkResend.objects.exists()


def test_changes_require_a_post_with_a_csrf_token(vendor: Client, rows: list[Delivery]) -> None:
    assert vendor.get("/deliveries/again/").status_code == 405
    forging = Client(enforce_csrf_checks=True)
    forging.cookies = vendor.cookies
    assert select(forging, rows[0]).status_code == 403
    assert select(Client(), rows[0]).headers["Location"].startswith("/sign-in/")
    assert not BulkResend.objects.exists()


def test_statements_of_a_step_are_bounded(
    vendor: Client,
    rows: list[Delivery],
    monkeypatch: pytest.MonkeyPatch,
    django_assert_max_num_queries: Any,
) -> None:
    monkeypatch.setattr(bulk, "STEP", 25)
    more = [delivery(rows[0].webhook) for _ in range(30)]
    for row in more:
        attempt(row)
    select(vendor, *more)
    # An INSERT and the preset for each delivery, and the others once.
    with django_assert_max_num_queries(2 * 25 + 13):
        assert bulk.step(BulkResend.objects.get().pk)
