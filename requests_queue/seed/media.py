"""Media of the suite: a picture, and a video with its thumbnail."""

from __future__ import annotations

import struct
import zlib
from datetime import datetime, timedelta

from requests_queue.catalog.models import Product, ProductMedia
from requests_queue.seed.products import SUITE
from requests_queue.seed.rows import add_missing

_WIDTH, _HEIGHT = 320, 180
# Position, identifier, type, URL, colors at the top and at the bottom.
_ROWS = (
    (1, "PRDM-362-917-440-10001", "image", "", (24, 58, 110), (96, 148, 214)),
    (2, "PRDM-362-917-440-10002", "video", "https://www.youtube.com/watch?v=nimbus-suite",
     (38, 92, 72), (142, 204, 170)),
)  # fmt: skip

Color = tuple[int, int, int]


def add_media(at: datetime) -> dict[str, int]:
    """Add the media."""
    then = at - timedelta(days=350)
    rows = [
        ProductMedia(
            id=pk, product_id=SUITE, position=position, type=kind, url=url,
            content=picture(top, bottom), content_type="image/png", created=then, updated=then,
        )
        for position, pk, kind, url, top, bottom in _ROWS
        if Product.objects.filter(pk=SUITE).exists()
    ]  # fmt: skip
    return {"media": add_missing(rows)}


def picture(top: Color, bottom: Color) -> bytes:
    """Return a PNG with a gradient; the bytes are the same on every machine."""
    last = _HEIGHT - 1
    lines = b"".join(
        b"\0"
        + bytes((a * (last - y) + b * y) // last for a, b in zip(top, bottom, strict=True)) * _WIDTH
        for y in range(_HEIGHT)
    )
    head = struct.pack(">IIBBBBB", _WIDTH, _HEIGHT, 8, 2, 0, 0, 0)
    body = _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(lines, 9)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)
