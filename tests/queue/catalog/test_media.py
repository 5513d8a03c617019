"""Media of a product: written by its vendor, visible with the product."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from requests_queue.catalog.models import ProductMedia
from requests_queue.catalog.writes.media import MAX_BYTES
from tests import make
from tests.api import Caller, Response, caller, ids, refused

pytestmark = pytest.mark.django_db

SUITE, BACKUP = "PRD-362-917-440", "PRD-814-505-018"
PATH = f"/products/{SUITE}/media"
PNG, JPEG = b"\x89PNG\r\n\x1a\n picture", b"\xff\xd8\xff picture"
VIDEO = "https://www.youtube.com/watch?v=1"


def form(picture: bytes | None = PNG, *, nested: bool = True, **fields: Any) -> bytes:
    """Return a multipart body: fields in one part as JSON, or each in its own."""
    parts = []
    if nested:
        parts.append(_part('name="body"', json.dumps(fields).encode(), "application/json"))
    else:
        parts += [_part(f'name="{k}"', str(v).encode(), "text/plain") for k, v in fields.items()]
    if picture is not None:
        parts.append(_part('name="thumbnail"; filename="a.png"', picture, "image/png"))
    return b"".join(parts) + b"--B--\r\n"


def _part(name: str, content: bytes, kind: str) -> bytes:
    head = f"--B\r\nContent-Disposition: form-data; {name}\r\nContent-Type: {kind}\r\n\r\n"
    return head.encode() + content + b"\r\n"


def send(caller: Caller, method: str, path: str, body: bytes) -> Response:
    return caller.call(method, path, body, {"Content-Type": "multipart/form-data; boundary=B"})


def test_vendor_creates_changes_and_deletes_a_picture(vendor: Caller, client: Client) -> None:
    created = send(vendor, "POST", PATH, form(position="3", type="image"))
    assert created.status == 201, created
    media = created.json
    assert media["id"].startswith("PRDM-362-917-440-")
    assert (media["position"], media["type"]) == (3, "image")
    assert media["thumbnail"].endswith(".png")
    assert media["url"] == media["thumbnail"]
    path = f"{PATH}/{media['id']}"
    assert vendor.get(path).json == media
    shown = client.get(media["thumbnail"])
    assert (shown.status_code, shown.content, shown["Content-Type"]) == (200, PNG, "image/png")
    assert shown["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in shown["Content-Security-Policy"]

    changed = send(vendor, "PUT", path, form(JPEG, position="4", type="image"))
    assert (changed.status, changed.json["position"]) == (200, 4), changed
    # A new picture has a new URL, and the old URL is gone.
    assert client.get(changed.json["thumbnail"]).content == JPEG
    assert client.get(media["thumbnail"]).status_code == 404
    # A representation can be written back without a file.
    assert vendor.put(path, changed.json).json == changed.json

    assert vendor.delete(path).status == 204
    refused(vendor.get(path), 404)
    assert client.get(changed.json["thumbnail"]).status_code == 404


def test_video_has_a_link_and_a_thumbnail(vendor: Caller) -> None:
    created = send(vendor, "POST", PATH, form(position="3", type="video", url=VIDEO))
    assert (created.status, created.json["url"]) == (201, VIDEO), created
    path = f"{PATH}/{created.json['id']}"
    assert vendor.put(path, {"url": "https://vimeo.com/1"}).json["url"] == "https://vimeo.com/1"
    picture = vendor.put(path, {"type": "image"}).json
    assert picture["url"] == picture["thumbnail"]
    refused(vendor.put(path, {"type": "video"}), 400, "url: This field is required for a video.")


def test_fields_are_taken_as_parts_of_the_form_too(vendor: Caller) -> None:
    created = send(vendor, "POST", PATH, form(nested=False, position=5, type="video", url=VIDEO))
    assert (created.status, created.json["position"], created.json["url"]) == (201, 5, VIDEO)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"position": None, "type": "image"}, "position: A valid integer is required."),
    ({"position": 0, "type": "image"}, "position: Ensure this value is between 1 and 8."),
    ({"position": "9", "type": "image"}, "position: Ensure this value is between 1 and 8."),
    ({"position": True, "type": "image"}, "position: A valid integer is required."),
    ({"position": "1.5", "type": "image"}, "position: A valid integer is required."),
    ({"position": [3], "type": "image"}, "position: A valid integer is required."),
    ({"position": 1, "type": "image"}, "position: The product has media at this position already."),
    ({"position": 3}, "type: This field is required."),
    ({"position": 3, "type": "audio"}, 'type: "audio" is not a valid choice.'),
    ({"position": 3, "type": ["image"]}, "type: \"['image']\" is not a valid choice."),
    ({"position": 3, "type": "video"}, "url: This field is required for a video."),
    ({"position": 3, "type": "video", "url": True}, "url: Not a valid string."),
]
HOSTED = "url: Videos are hosted on YouTube or Vimeo: enter an https URL there."


@pytest.mark.parametrize(("fields", "message"), WRONG)
def test_wrong_field_is_refused(vendor: Caller, fields: dict[str, Any], message: str) -> None:
    before = ids(vendor, PATH)
    refused(send(vendor, "POST", PATH, form(**fields)), 400, message)
    assert ids(vendor, PATH) == before


@pytest.mark.parametrize(
    "url",
    ["http://www.youtube.com/1", "https://youtube.com.example.com/1", "javascript:alert(1)",
     "https://u:p@youtube.com/1", "https://example.com/1", "https://[", "https://youtube.com/a b"],
)  # fmt: skip
def test_video_of_another_host_is_refused(vendor: Caller, url: str) -> None:
    refused(send(vendor, "POST", PATH, form(position=3, type="video", url=url)), 400, HOSTED)


def test_file_that_is_no_picture_is_refused(vendor: Caller) -> None:
    fields = {"position": 3, "type": "image"}
    message = "thumbnail: Upload a PNG, JPEG, GIF or WebP image."
    for content in (b"", b"<svg onload='x'/>", b"<html>", b"\x89PN", b"RIFF1234WAVE"):
        refused(send(vendor, "POST", PATH, form(content, **fields)), 400, message)
    refused(
        send(vendor, "POST", PATH, form(None, **fields)), 400, "thumbnail: No file was submitted."
    )
    refused(vendor.post(PATH, fields), 400, "thumbnail: No file was submitted.")
    refused(
        vendor.post(PATH, {**fields, "thumbnail": "aGVsbG8="}),
        400,
        "thumbnail: The submitted data was not a file.",
    )
    for content in (b"GIF87a", b"GIF89a", b"RIFF1234WEBP"):
        assert send(vendor, "POST", PATH, form(content, position=3, type="image")).status == 201
        ProductMedia.objects.filter(position=3).delete()


def test_picture_beyond_the_limit_is_refused(vendor: Caller) -> None:
    fields = {"position": 3, "type": "image"}
    most = PNG + b"x" * (MAX_BYTES - len(PNG))
    for content in (most + b"x", most + b"x" * 200_000):
        response = send(vendor, "POST", PATH, form(content, **fields))
        refused(response, 413, "thumbnail: The file is larger than 2 MiB.")
    assert send(vendor, "POST", PATH, form(most, **fields)).status == 201


def test_body_that_is_no_object_is_refused(vendor: Caller) -> None:
    for text in (b"[]", b"7", b"{", b'"x"'):
        body = _part('name="body"', text, "application/json") + _part(
            'name="thumbnail"; filename="a.png"', PNG, "image/png"
        )
        refused(send(vendor, "POST", PATH, body + b"--B--\r\n"), 400)
    refused(vendor.put(f"{PATH}/PRDM-362-917-440-10001", []), 400)


def test_media_is_seen_with_its_product_and_written_by_its_vendor(
    vendor: Caller, distributor: Caller, client: Client
) -> None:
    rows = vendor.get(PATH).json
    assert [row["type"] for row in rows] == ["image", "video"]
    assert distributor.get(PATH).json == rows
    path = f"{PATH}/{rows[0]['id']}"
    refused(send(distributor, "POST", PATH, form(position=3, type="image")), 403)
    refused(distributor.put(path, {"type": "image"}), 403)
    refused(distributor.delete(path), 403)
    # It is not found under another product.
    refused(vendor.get(f"/products/{BACKUP}/media/{rows[0]['id']}"), 404)
    assert vendor.get(PATH).json == rows
    picture = rows[0]["thumbnail"]
    key = picture.split("/")[4]
    assert client.get(picture).status_code == 200
    for wrong in (
        picture.replace(key, "0" * 16),
        picture.replace(key, "x"),
        picture.replace(rows[0]["id"], rows[1]["id"]),
    ):
        assert client.get(wrong).status_code == 404


def test_media_is_filtered(vendor: Caller) -> None:
    rows = vendor.get(PATH).json
    for query in (
        "eq(type,video)",
        "position=2",
        f"eq(id,{rows[1]['id']})",
        "like(url,*youtube*)",
        "ge(position,2)",
    ):
        assert ids(vendor, f"{PATH}?{query}") == [rows[1]["id"]], query
    assert ids(vendor, f"{PATH}?ordering(-position)") == [rows[1]["id"], rows[0]["id"]]
    refused(vendor.get(f"{PATH}?eq(content,x)"), 400)


def test_account_has_its_users_and_no_others(
    vendor: Caller, distributor: Caller, other: make.Catalog
) -> None:
    path = "/accounts/VA-610-138/users"
    [user] = vendor.get(path).json
    assert user["id"] == "UR-426-913-070"
    assert (user["name"], user["email"]) == ("Maya Ortiz", "maya.ortiz@nimbus.example.com")
    assert (user["active"], user["status"]) == (True, "active")
    assert vendor.get(f"{path}/{user['id']}").json == user
    for query in (
        "name=Maya Ortiz",
        "like(email,maya*)",
        "status=active",
        "eq(id,UR-426-913-070)",
        "search=maya",
    ):
        assert ids(vendor, f"{path}?{query}") == [user["id"]], query
    assert ids(vendor, f"{path}?status=disabled") == []
    for stranger in (distributor, caller(other.vendor), caller(other.provider)):
        refused(stranger.get(path), 404, "Object `VA-610-138` not found.")
        refused(stranger.get(f"{path}/{user['id']}"), 404)
    for pk in ("PA-318-442", "PA-000-000", "VA-0"):
        refused(vendor.get(f"/accounts/{pk}/users"), 404)
    # Neither service users nor users of other accounts are listed.
    for pk in ("SU-100-000-001", "UR-580-227-641"):
        refused(vendor.get(f"{path}/{pk}"), 404)
