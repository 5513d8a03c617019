"""Formatted JSON as HTML: tokens in the color of their type, objects and lists collapsible.

The text of the HTML is the JSON, so that it is copied as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

from django.utils.safestring import SafeString

# Deeper levels aren't collapsible: browsers limit how deep elements may be nested.
MAX_DEPTH = 20

_TOKEN = re.compile(
    r'(?P<name>"(?:[^"\\]|\\.)*"(?=\s*:))|(?P<string>"(?:[^"\\]|\\.)*"?)'
    r"|(?P<number>-?\d[\d.eE+-]*)|(?P<literal>true|false|null)|(?P<other>[^\"\w-]+|.)",
    re.DOTALL,
)


def render(text: str, marked: Iterable[str] = ()) -> SafeString:
    """Return formatted JSON, which may be cut off at its end, as HTML.

    `marked` are keys of the outermost object whose lines are marked.
    """
    marks = {f'  "{key}":' for key in marked}
    pieces: list[str] = []
    depth = 0
    lines = [f"{line}\n" for line in text.split("\n")]
    lines[-1] = lines[-1].removesuffix("\n")
    for line in lines:
        bare = line.strip().rstrip(",")
        if bare in ("]", "}"):
            # The bracket is inside, so that only the first line of a collapsed object is shown.
            pieces.append(_colored(line))
            if 0 < depth <= MAX_DEPTH:
                pieces.append("</details>")
            depth = max(0, depth - 1)
        elif bare.endswith(("[", "{")) and not bare.endswith('"'):
            depth += 1
            opened = _colored(line)
            is_collapsible = depth <= MAX_DEPTH
            pieces.append(
                f"<details open><summary>{opened}</summary>" if is_collapsible else opened
            )
        elif marks and line.startswith(tuple(marks)):
            pieces.append(f"<mark>{_colored(line)}</mark>")
        else:
            pieces.append(_colored(line))
    pieces.append("</details>" * min(depth, MAX_DEPTH))
    return SafeString("".join(pieces))


def _colored(line: str) -> str:
    return "".join(_token(match) for match in _TOKEN.finditer(line))


def _token(match: re.Match[str]) -> str:
    text = escape(match[0], quote=False)
    return text if match.lastgroup == "other" else f'<i class="{match.lastgroup}">{text}</i>'
