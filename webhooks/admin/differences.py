"""What a validator's answer has otherwise than what its handler was sent, as the admin shows it."""

from __future__ import annotations

import re

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from webhooks.delivery import response_diff
from webhooks.models import Attempt

_TABLE = """<div class="sim-scroll" tabindex="0" role="region" aria-label="Differences">
<table class="sim-difference">
<caption>What the handler answered otherwise than it was sent</caption>
<thead><tr><th scope="col">Path</th><th scope="col">Sent</th><th scope="col">Came back</th>\
<th scope="col">What became of it</th></tr></thead>
<tbody>
{}
</tbody></table></div><p class="sim-quiet">{}</p>"""
_ROW = (
    '<tr><th scope="row">{}</th><td data-label="Sent">{}</td><td data-label="Came back">{}</td>'
    '<td data-label="What became of it">{}</td></tr>'
)


def show(row: Attempt) -> SafeString | str:
    """Return the differences as a table, or a sentence where there is nothing to compare."""
    found = response_diff.build_diff(row)
    if not found.rows:
        return found.said
    rows = format_html_join("\n", _ROW, ((_breakable(path), *rest) for path, *rest in found.rows))
    return format_html(_TABLE, rows, found.said)


def _breakable(path: str) -> SafeString:
    """Return a path that may be broken between its steps where it is long."""
    steps = re.split(r"(?=[.\[])", path)
    return format_html_join(mark_safe("<wbr>"), "{}", ((step,) for step in steps))
