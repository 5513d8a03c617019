"""Pages of helpdesk cases: their people, priority and attachments."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from requests_queue.queues.helpdesk import attachments, creation
from requests_queue.queues.helpdesk.models import Attachment, Case
from tests import html, make
from tests.make import Catalog
from tests.portal.queues import refused
from tests.portal.statements import statements
from tests.signed_in import distributor, stranger, vendor  # noqa: F401  (fixtures)

pytestmark = pytest.mark.django_db

POLL = {"HX-Request": "true"}


@pytest.fixture
def case(catalog: Catalog) -> Case:
    """A case of the distributor, of the lowest priority."""
    body = {
        "type": "technical",
        "subject": "Sign-in fails",
        "description": "Since this morning.",
        "issuer": {"recipients": [{"id": catalog.provider_user.uid}]},
        "receiver": {"account": {"id": catalog.vendor.pk}},
    }
    return creation.create(body, catalog.as_distributor)


def attached(catalog: Catalog, case: Case, name: str = "a log.txt") -> Attachment:
    """Add a file to a case, as the distributor."""
    file = SimpleUploadedFile(name, b"an error", "text/plain")
    return attachments.add(case.pk, file, catalog.as_distributor)


def test_page_shows_priority_and_recipients(vendor: Client, catalog: Catalog, case: Case) -> None:
    terms = html.get(vendor, f"/queues/helpdesk/{case.pk}/").terms()
    assert (terms["Priority"], terms["Recipients"]) == ("0", catalog.provider_user.name)


def test_page_lists_attachments_which_both_parties_download(
    vendor: Client, distributor: Client, catalog: Catalog, case: Case
) -> None:
    at = f"/queues/helpdesk/{case.pk}/"
    assert "No attachments." in html.get(vendor, at)
    row = attached(catalog, case)
    for client in (vendor, distributor):
        page = html.get(client, at)
        [cells] = [row for row in page.rows() if "a log.txt" in row]
        user = catalog.provider_user.name
        assert cells[:4] == ["a log.txt", "text/plain", "8 bytes", f"{user}, Provider"]
        response = client.get(page.one(f"#{row.pk}")["href"])
        assert (response.status_code, response.content) == (200, b"an error")
        assert response["Content-Type"] == "text/plain"
        assert response["Content-Disposition"] == "attachment; filename*=UTF-8''a%20log.txt"
        assert response["X-Content-Type-Options"] == "nosniff"


def test_case_is_closed_with_a_rating(distributor: Client, catalog: Catalog, case: Case) -> None:
    at = f"/queues/helpdesk/{case.pk}/actions"
    distributor.post(f"{at}/resolve/")
    field = html.get(distributor, f"{at}/close/").one("#id_rating")
    assert (field["type"], field["min"], field["max"]) == ("number", "1", "5")
    for wrong in ("0", "6", "4.5", "good"):
        page = refused(distributor, f"{at}/close/", {"rating": wrong, "body": "{}"})
        assert page.one("[data-field=rating]").errors, wrong
    distributor.post(f"{at}/close/", {"rating": "5", "feedback": "Thank you.", "body": "{}"})
    case.refresh_from_db()
    assert (case.status, case.rating, case.feedback) == ("closed", 5, "Thank you.")


def test_attachment_is_for_the_parties_of_its_case(
    vendor: Client, stranger: Client, catalog: Catalog, case: Case
) -> None:
    pk, other = attached(catalog, case).pk, make.order(catalog).pk
    path = f"/queues/helpdesk/{case.pk}/attachments/{pk}/"
    assert stranger.get(path).status_code == 404
    assert Client().get(path).headers["Location"].startswith("/sign-in/")
    again = creation.create(
        {
            "type": "business",
            "subject": "?",
            "description": "?",
            "receiver": {"account": {"id": catalog.provider.pk}},
        },
        catalog.as_vendor,
    )
    for at in (f"helpdesk/{again.pk}", f"helpdesk/{other}", f"fulfillment/{other}"):
        assert vendor.get(f"/queues/{at}/attachments/{pk}/").status_code == 404, at
    assert vendor.post(path).status_code == 405


def test_page_is_updated_when_a_file_is_added_or_deleted(
    vendor: Client, catalog: Catalog, case: Case
) -> None:
    at = f"/queues/helpdesk/{case.pk}/"
    poll = at + html.get(vendor, at).one("#content")["hx-get"]
    assert vendor.get(poll, headers=POLL).status_code == 204
    row = attached(catalog, case)
    page = html.parse(vendor.get(poll, headers=POLL))
    assert page.all(f"#{row.pk}")
    attachments.remove(row, catalog.as_distributor)
    response = vendor.get(at + page.one("#content")["hx-get"], headers=POLL)
    assert "No attachments." in html.parse(response)


def test_attachments_are_read_by_one_statement_with_the_content_of_a_download_only(
    vendor: Client, catalog: Catalog, case: Case
) -> None:
    at, found = f"/queues/helpdesk/{case.pk}/", []
    for _ in range(2):
        attached(catalog, case)
        [queries] = statements(vendor, at)
        found.append([each for each in queries if 'FROM "helpdesk_attachment"' in each])
    assert [len(each) for each in found] == [1, 1]
    assert '"helpdesk_attachment"."content"' not in found[0][0]
    # With its content: one that is deleted meanwhile is missing, and no error.
    path = f"{at}attachments/{case.attachments.all()[0].pk}/"
    with CaptureQueriesContext(connection) as queries:
        assert vendor.get(path).content == b"an error"
    assert sum('FROM "helpdesk_attachment"' in each["sql"] for each in queries) == 1
    case.attachments.all().delete()
    assert vendor.get(path).status_code == 404
