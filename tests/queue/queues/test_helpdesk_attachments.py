"""Attachments of helpdesk cases: who lists, downloads and deletes them, types and limits."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from requests_queue.queues.helpdesk import attachments
from tests.api import refused
from tests.queue import builders
from tests.queue.platforms import Platform, everything
from tests.queue.tables import CASES, PATHS

pytestmark = pytest.mark.django_db

PATH = PATHS[CASES]
PICTURE = b"\x89PNG\r\n\x1a\n of a screen"
# The longest types that browsers send.
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def test_attachments_are_listed_downloaded_and_deleted(platform: Platform) -> None:
    vendor, distributor = platform.by["V"], platform.by["D"]
    case = builders.helpdesk_case(platform, "pending")
    files = f"{PATH}/{case}/attachments"
    picture = builders.attach(distributor, case, PICTURE, "image/png").json
    log = builders.attach(vendor, case, b"an error", "text/plain").json
    assert picture["id"].startswith("CAAT-") and len(picture["id"]) == 16
    assert (picture["name"], picture["type"]) == ("a file.png", "image/png")
    assert (picture["size"], log["size"]) == (len(PICTURE), 8)
    assert picture["account"]["id"] == platform.catalog.provider.pk
    assert picture["events"]["created"]["by"]["id"].startswith("SU-")
    path = f"/public/v1{files}/{picture['id']}?format="
    assert (picture["attachment"], picture["preview"]) == (f"{path}attachment", f"{path}preview")
    assert log["preview"] is None
    by_id = {row["id"]: row for row in vendor.get(files).json}
    assert by_id == {picture["id"]: picture, log["id"]: log}
    assert vendor.get(f"{files}/{log['id']}").json == log
    for form, content in (("attachment", PICTURE), ("preview", PICTURE)):
        with CaptureQueriesContext(connection) as queries:
            response = vendor.client.get(
                picture[form], headers={"authorization": f"ApiKey {vendor.key}"}
            )
        # With its content: one that is deleted meanwhile is missing, and no error.
        assert sum('FROM "helpdesk_attachment"' in each["sql"] for each in queries) == 1
        assert (response.status_code, response.content) == (200, content)
        assert response["Content-Type"] == "image/png"
        assert response["X-Content-Type-Options"] == "nosniff"
        assert response["Content-Disposition"] == "attachment; filename*=UTF-8''a%20file.png"
    refused(vendor.get(f"{files}/{log['id']}?format=preview"), 404)
    refused(vendor.get(f"{files}/{log['id']}?format=pdf"), 400)
    refused(vendor.delete(f"{files}/{picture['id']}"), 403)
    assert distributor.delete(f"{files}/{picture['id']}").status == 204
    refused(distributor.delete(f"{files}/{picture['id']}"), 404)
    assert vendor.get(files).json == [log]


def test_attachment_of_another_case_is_not_found(platform: Platform) -> None:
    cases = [builders.helpdesk_case(platform, "pending") for _ in range(2)]
    attached = builders.attach(platform.by["D"], cases[0], b"log").json["id"]
    refused(platform.by["D"].get(f"{PATH}/{cases[1]}/attachments/{attached}"), 404)


def test_invalid_attachments_are_refused(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    distributor, case = platform.by["D"], builders.helpdesk_case(platform, "pending")
    files = f"{PATH}/{case}/attachments"
    as_text = b'--B\r\nContent-Disposition: form-data; name="file"\r\n\r\nbG9n\r\n--B--\r\n'
    multipart = {"Content-Type": "multipart/form-data; boundary=B"}
    before = everything()
    refused(distributor.post(files), 400, "file: No file was submitted.")
    refused(distributor.post(files, {"file": "x"}), 400, "file: The submitted data was not a file.")
    text = distributor.call("POST", files, as_text, multipart)
    refused(text, 400, "file: The submitted data was not a file.")
    refused(builders.attach(distributor, case, b""), 400, "file: The submitted file is empty.")
    large = builders.attach(distributor, case, b"x" * (attachments.MAX_BYTES + 1))
    refused(large, 413, "file: The file is larger than 10 MiB.")
    monkeypatch.setattr(attachments, "MOST", 0)
    refused(builders.attach(distributor, case, b"x"), 400)
    assert everything() == before


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("text/plain", "text/plain"),
        ("application/octet-stream", "image/png"),
        (DOCX, DOCX),
        ("x" * 98 + "/y", "x" * 98 + "/y"),
        ("x" * 99 + "/y", "image/png"),
        ("text", "image/png"),
    ],
)
def test_type_of_an_attachment_is_that_of_the_form_or_of_its_name(
    platform: Platform, kind: str, shown: str
) -> None:
    case = builders.helpdesk_case(platform, "pending")
    assert builders.attach(platform.by["D"], case, b"log", kind).json["type"] == shown
