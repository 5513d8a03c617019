"""Paths of API calls below `/public/v1`: patterns without ids, and globs. No Django.

In a glob `*` is any text within one segment, `**` also across segments.
"""

from __future__ import annotations

import re
from functools import lru_cache

from sandbox.object_ids import OBJECT_ID

_PREFIX = "/public/v1"
_WILDCARD = re.compile(r"\*+")


def below_api(path: str) -> str:
    """Return a path of the API without its prefix and without a slash at its end."""
    if path == _PREFIX or path.startswith(f"{_PREFIX}/"):
        path = path[len(_PREFIX) :]
    return path.rstrip("/") or "/"


def pattern(path: str) -> str:
    """Return a path with ids replaced: `/requests/{id}/approve`."""
    return OBJECT_ID.sub("{id}", path)


def matches(glob: str, path: str) -> bool:
    """Return whether a path has the form of a glob."""
    return _compiled(glob).fullmatch(path) is not None


@lru_cache(maxsize=256)
def _compiled(glob: str) -> re.Pattern[str]:
    parts, last = [], 0
    for found in _WILDCARD.finditer(glob):
        parts.append(re.escape(glob[last : found.start()]))
        parts.append("[^/]*" if len(found.group()) == 1 else ".*")
        last = found.end()
    return re.compile("".join([*parts, re.escape(glob[last:])]), re.DOTALL)
