"""A vendor's POST, PUT and DELETE of what presents a product: pictures, and links of videos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.db import IntegrityError, transaction

from requests_queue import clock, ids
from requests_queue.catalog.models import Product, ProductMedia
from requests_queue.catalog.writes import products
from requests_queue.catalog.writes.given import Given
from requests_queue.errors import Invalid, Refused

MAX_BYTES = 2 * 1024 * 1024
TYPES = ("image", "video")
LAST_POSITION = 8
# Where videos are, as connect-cli demands before it sends one.
VIDEO_HOSTS = ("vimeo.com", "www.vimeo.com", "youtube.com", "www.youtube.com", "youtu.be",
               "www.youtu.be")  # fmt: skip
_TAKEN = "The product has media at this position already."
# Formats that a browser draws and that hold no script, by how their files begin.
_FORMATS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


def too_large() -> Refused:
    """Return the 413 of a picture beyond MAX_BYTES."""
    text = f"thumbnail: The file is larger than {MAX_BYTES // 1024 // 1024} MiB."
    return Refused("REQ_413", text, status=413)


def create(product: Product, data: Mapping[str, Any], picture: bytes | None) -> ProductMedia:
    """Create media from `{position, type, url?}` and a picture; raises Invalid, Refused (413)."""
    given, now = Given(data), clock.shown(clock.now())
    if picture is None:
        raise Invalid("thumbnail", "No file was submitted.")
    position, kind = _position(given), given.choice("type", TYPES)
    columns = {"content": picture, "content_type": _format(picture), "url": _url(given, kind)}
    with _single_position(), transaction.atomic():
        products.lock(product)
        return ids.create(
            lambda pk: ProductMedia(
                pk=pk, product=product, position=position, type=kind, created=now, updated=now,
                **columns,
            ),
            f"PRDM-{product.pk.removeprefix('PRD-')}-ddddd",
        )  # fmt: skip


def update(
    product: Product, row: ProductMedia, data: Mapping[str, Any], picture: bytes | None
) -> None:
    """Change what the body names, and the picture if there is one; raises Invalid, Refused."""
    given = Given(data)
    columns: dict[str, Any] = {}
    if picture is not None:
        columns = {"content": picture, "content_type": _format(picture)}
    with _single_position(), transaction.atomic():
        products.lock(product)
        fresh = products.fresh(row)
        kind = given.choice("type", TYPES) if data.get("type") is not None else fresh.type
        if data.get("position") is not None:
            columns["position"] = _position(given)
        if "url" in data or kind != fresh.type:
            columns["url"] = _url(given, kind)
        columns |= {"type": kind, "updated": clock.shown(clock.now())}
        revision = fresh.revision + (picture is not None)
        ProductMedia.objects.filter(pk=fresh.pk).update(**columns, revision=revision)


@transaction.atomic
def delete(product: Product, row: ProductMedia) -> None:
    """Delete media."""
    products.lock(product)
    products.fresh(row).delete()


class _single_position:
    """Two media at one position are the caller's mistake."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, IntegrityError) and "position" in str(error):
            raise Invalid("position", _TAKEN, "unique") from None


def _position(given: Given) -> int:
    """Return the position, a number or its digits, as forms have it; raises Invalid."""
    value = given.data.get("position")
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 4:
        value = int(value)
    return Given({"position": value}).number("position", 1, LAST_POSITION)


def _format(picture: bytes) -> str:
    """Return the content type of a picture, by how it begins; raises Invalid, Refused (413)."""
    if len(picture) > MAX_BYTES:
        raise too_large()
    for start, content_type in _FORMATS:
        if picture.startswith(start):
            return content_type
    if picture[:4] == b"RIFF" and picture[8:12] == b"WEBP":
        return "image/webp"
    raise Invalid("thumbnail", "Upload a PNG, JPEG, GIF or WebP image.")


def _url(given: Given, kind: str) -> str:
    """Return where a video is; a picture has no URL. Raises Invalid."""
    url = given.text("url", 2000)
    if kind == "image":
        return ""
    if not url:
        raise given.wrong("url", "This field is required for a video.")
    try:
        parts = urlsplit(url)
        right = parts.scheme == "https" and parts.netloc in VIDEO_HOSTS
    except ValueError:
        right = False
    if not right or not all(c.isprintable() and not c.isspace() for c in url):
        raise given.wrong("url", "Videos are hosted on YouTube or Vimeo: enter an https URL there.")
    return url
