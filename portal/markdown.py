"""Markdown that vendors wrote, as HTML of a page: no HTML of theirs, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from django.utils.safestring import SafeString
from markdown_it import MarkdownIt
from markdown_it.token import Token


def _picture(renderer: Any, tokens: Sequence[Token], n: int, options: Any, env: Any) -> str:
    # Loading it would tell another host who reads the page.
    return escape(tokens[n].content)


_reader = MarkdownIt("commonmark", {"html": False}).enable("table")
_reader.add_render_rule("image", _picture)


def html(text: str) -> SafeString:
    """Return the text as HTML, its headings below the page's own, and without gaps.

    The head that a table must have in Markdown is left out where nothing stands in it.
    """
    tokens = _without_empty_heads(_reader.parse(text))
    last = 1
    for token in tokens:
        if token.type == "heading_open":
            last = min(int(token.tag[1]) + 1, last + 1, 6)
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{last}"
    # Its reader escapes what it is given: `html` is off.
    return SafeString(_reader.renderer.render(tokens, _reader.options, {}))


def _without_empty_heads(tokens: list[Token]) -> list[Token]:
    found: list[Token] = []
    head: list[Token] | None = None
    for token in tokens:
        if token.type == "thead_open":
            head = []
        (found if head is None else head).append(token)
        if token.type == "thead_close" and head is not None:
            if any(one.content.strip() for one in head):
                found += head
            head = None
    return found
