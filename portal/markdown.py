"""Markdown of vendors as HTML: their own HTML is escaped and external images are not loaded."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from django.utils.safestring import SafeString
from markdown_it import MarkdownIt
from markdown_it.token import Token


def _image_as_text(renderer: Any, tokens: Sequence[Token], n: int, options: Any, env: Any) -> str:
    # Loading an image would reveal to another host who views the page.
    return escape(tokens[n].content)


_parser = MarkdownIt("commonmark", {"html": False}).enable("table")
_parser.add_render_rule("image", _image_as_text)


def render(text: str) -> SafeString:
    """Return the text as HTML; headings start below the page's own and skip no level.

    Markdown requires a table header: an empty one is left out.
    """
    tokens = _without_empty_table_headers(_parser.parse(text))
    level = 1
    for token in tokens:
        if token.type == "heading_open":
            level = min(int(token.tag[1]) + 1, level + 1, 6)
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{level}"
    # The parser escapes HTML in the text: `html` is off.
    return SafeString(_parser.renderer.render(tokens, _parser.options, {}))


def _without_empty_table_headers(tokens: list[Token]) -> list[Token]:
    result: list[Token] = []
    header: list[Token] | None = None
    for token in tokens:
        if token.type == "thead_open":
            header = []
        (result if header is None else header).append(token)
        if token.type == "thead_close" and header is not None:
            if any(cell.content.strip() for cell in header):
                result += header
            header = None
    return result
