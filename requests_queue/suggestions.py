"""The known word that an unknown one probably means."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LONGEST = 80  # characters of an unknown word that are compared


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Return ` Did you mean X?`, to end a sentence with, or nothing if no word is similar."""
    by_case = {each.lower(): each for each in known}
    found = difflib.get_close_matches(str(word)[:_LONGEST].lower(), by_case, n=1)
    return f" Did you mean {by_case[found[0]]}?" if found else ""
