"""A vendor's POST, PUT and DELETE of what presents a product: pictures, and links of videos."""

from __future__ import annotations

from functools import partial
from urllib.parse import urlsplit

from requests_queue import clock
from requests_queue.api.fields import AnyCaseChoice, Digits, Input, Text, Values
from requests_queue.catalog.models import Product, ProductMedia
from requests_queue.catalog.spreadsheets import limits
from requests_queue.catalog.writes import products
from requests_queue.db.rows import unique
from requests_queue.errors import Invalid

MAX_BYTES = 2 * 1024 * 1024
TYPES = ("image", "video")
LAST_POSITION = 8
# Where videos are, as connect-cli demands before it sends one.
VIDEO_HOSTS = (
    "vimeo.com",
    "www.vimeo.com",
    "youtube.com",
    "www.youtube.com",
    "youtu.be",
    "www.youtu.be",
)
TAKEN = "The product has media at this position already."
_single_position = partial(unique, "position", "position", TAKEN)
# Formats that a browser draws and that hold no script, by how their files begin.
_FORMATS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


class _Position(Digits):
    """A number or its digits, as forms have it."""

    default_error_messages = {"required": "A valid integer is required."}


class MediaInput(Input):
    """What can be written of media, beside the picture."""

    position = _Position(1, LAST_POSITION, required=True, allow_null=True)
    type = AnyCaseChoice(TYPES, required=True, allow_null=True)
    url = Text(2000)


def create(product: Product, values: Values, picture: bytes | None) -> ProductMedia:
    """Create media of `MediaInput` and a picture; raises Invalid, Refused (413)."""
    if picture is None:
        raise Invalid("thumbnail", "No file was submitted.")
    columns = values | picture_columns(picture) | {"url": video_url(values, values["type"])}
    with _single_position():
        products.begin_change(product)
        kind = f"PRDM-{product.pk.removeprefix('PRD-')}-ddddd"
        return products.create_row(ProductMedia, kind, product=product, **columns)


def update(product: Product, row: ProductMedia, values: Values, picture: bytes | None) -> None:
    """Change what the values name, and the picture if there is one; raises Invalid, Refused."""
    columns = picture_columns(picture) if picture is not None else {}
    with _single_position():
        fresh = products.begin_part_change(product, row)
        kind = values.get("type", fresh.type)
        if "url" in values or kind != fresh.type:
            values = values | {"url": video_url(values, kind)}
        columns |= {"updated": clock.shown(clock.now()), "revision": fresh.revision + bool(columns)}
        ProductMedia.objects.filter(pk=fresh.pk).update(**values, **columns)


delete = products.delete_part


def picture_columns(picture: bytes) -> Values:
    """Return the columns of a picture, its type by how it begins; raises Invalid, Refused (413)."""
    if len(picture) > MAX_BYTES:
        raise limits.too_large("thumbnail", MAX_BYTES)
    content_type = type_of_picture(picture)
    if not content_type:
        raise Invalid("thumbnail", "Upload a PNG, JPEG, GIF or WebP image.")
    return {"content": picture, "content_type": content_type}


def type_of_picture(content: bytes) -> str:
    """Return the media type of a PNG, JPEG, GIF or WebP image; empty for anything else."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for start, kind in _FORMATS if content.startswith(start)), "")


def video_url(values: Values, kind: str) -> str:
    """Return where a video is; a picture has no URL. Raises Invalid."""
    url: str = values.get("url", "")
    if kind == "image":
        return ""
    if not url:
        raise Invalid("url", "This field is required for a video.")
    try:
        parts = urlsplit(url)
        right = parts.scheme == "https" and parts.netloc in VIDEO_HOSTS
    except ValueError:
        right = False
    if not right or not all(c.isprintable() and not c.isspace() for c in url):
        raise Invalid("url", "Videos are hosted on YouTube or Vimeo: enter an https URL there.")
    return url
