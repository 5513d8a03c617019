"""Names of checks that a user gives: ids, groups, and globs."""

from __future__ import annotations

from collections.abc import Iterable

from checks.catalog import CHECKS
from checks.outputs import catalog_texts
from checks.outputs.catalog_texts import UnknownCheck

_GLOB = frozenset("*?[")


def globs(texts: Iterable[str]) -> tuple[str, ...]:
    """Return ids and globs of texts that are separated by commas; raises UnknownCheck.

    A group means all of its checks.
    """
    groups = {check.group for check in CHECKS}
    result = []
    for text in (each.strip() for value in texts for each in value.split(",")):
        glob = f"{text}.*" if text in groups else text
        if not _GLOB & set(glob):
            catalog_texts.find(CHECKS, glob)
        elif not any(check.matches([glob]) for check in CHECKS):
            raise UnknownCheck(f"no check matches {glob!r}.")
        result.append(glob)
    return tuple(result)
