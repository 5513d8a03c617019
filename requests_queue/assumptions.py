"""What is assumed about Connect where public sources are silent or contradict each other.

Each name has alternatives (`alternatives`), the default first. The setting of the name
(`SIM_VALUE_ERRORS`) chooses one for the process. A package above may choose others while it runs:
it replaces `overrides`, which is asked at each use, so that a change counts at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings

from requests_queue.alternatives import SETTINGS, Name

# With `unknown_keys=present`, each object has this key more.
UNKNOWN_KEY = "x_unknown"

# The alternatives that were chosen since the start, by name.
overrides: Callable[[], Mapping[str, str]] = dict


def value(name: Name) -> str:
    """Return the alternative that counts now."""
    chosen: str = overrides().get(name) or getattr(settings, SETTINGS[name])
    return chosen


def as_sent(content: Any) -> Any:
    """Return JSON with its keys in the order that is assumed, and with an unknown key if any.

    The order concerns all objects within each other, the unknown key the outer ones.
    """
    if value("unknown_keys") == "present":
        if isinstance(content, list):
            content = [_with_unknown(each) for each in content]
        else:
            content = _with_unknown(content)
    return content if value("key_order") == "documented" else _reversed(content)


def _with_unknown(content: Any) -> Any:
    return {**content, UNKNOWN_KEY: {}} if isinstance(content, dict) else content


def _reversed(content: Any) -> Any:
    if isinstance(content, list):
        return [_reversed(each) for each in content]
    if isinstance(content, dict):
        return {key: _reversed(content[key]) for key in reversed(content)}
    return content
