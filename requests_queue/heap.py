"""Options of glibc's malloc; other C libraries have none."""

from __future__ import annotations

import ctypes
from contextlib import suppress

# Of <malloc.h>.
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8


def share() -> None:
    """Let all threads allocate from one heap.

    glibc has one for each thread, so that threads don't wait for each other: those of Python wait
    for its lock anyway. What is free in one heap isn't used by another, which takes 5 MiB with
    1,000 requests in flight, and 11 MiB in a sandbox that has served long lists.
    """
    _set(_M_ARENA_MAX, 1)


def map_blocks(size: int) -> None:
    """Return blocks of this size, in bytes, to the system when they are freed.

    By default the size rises to that of the largest block so far. Set to any value, it doesn't.
    """
    _set(_M_MMAP_THRESHOLD, size)


def _set(option: int, value: int) -> None:
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(option, value)
