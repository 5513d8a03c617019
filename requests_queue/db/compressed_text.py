"""A column of long texts, compressed by Zstandard.

A database writes each page of a long text several times: into its log, then into its file. To
compress 16 KiB takes less CPU time than to write the four pages that it saves. PostgreSQL's own
compression comes after the text was sent, and reads and writes it once more.
"""

from __future__ import annotations

import threading
from typing import Any

import zstandard
from django.db import models

# Bytes from which a text is compressed: smaller ones fit into a page with others.
MIN_SIZE = 1024
_LEVEL = 1
# No text in UTF-8 begins like this: 0xB5 continues a character, and 0x28 is one.
_MAGIC = zstandard.FRAME_HEADER

_thread = threading.local()


class CompressedTextField(models.TextField):  # type: ignore[type-arg]
    """Text that is compressed in the database; can't be used in filters."""

    def get_internal_type(self) -> str:
        """Return the type of the column: bytes."""
        return "BinaryField"

    def from_db_value(self, value: bytes | memoryview | str | None, *args: Any) -> str | None:
        return None if value is None else unpack(value)

    def get_prep_value(self, value: str | None) -> bytes | None:
        """Return a text as the database has it."""
        return None if value is None else pack(value)


def pack(text: str) -> bytes:
    """Return a text as it is stored: in UTF-8, compressed if it is long."""
    encoded = text.encode()
    if len(encoded) < MIN_SIZE:
        return encoded
    # Neither object may be used by two threads at once.
    if (compressor := getattr(_thread, "compressor", None)) is None:
        compressor = _thread.compressor = zstandard.ZstdCompressor(level=_LEVEL)
    return compressor.compress(encoded)


def unpack(stored: bytes | memoryview | str) -> str:
    """Return the text that is stored; SQLite has texts of older versions as they were."""
    if isinstance(stored, str):
        return stored
    packed = bytes(stored)
    if not packed.startswith(_MAGIC):
        return packed.decode()
    if (decompressor := getattr(_thread, "decompressor", None)) is None:
        decompressor = _thread.decompressor = zstandard.ZstdDecompressor()
    return decompressor.decompress(packed).decode()
