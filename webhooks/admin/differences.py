"""The table of differences between a validator's response and the object sent, in the admin."""

from __future__ import annotations

import re

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from webhooks.delivery import response_diff
from webhooks.models import Attempt

_TABLE = """<div class="sim-scroll" tabindex="0" role="region" aria-label="Differences">
<table class="sim-difference">
<caption>Differences between the response and the object sent</caption>
<thead><tr><th scope="col">Path</th><th scope="col">Sent</th><th scope="col">Received</th>\
<th scope="col">Result</th></tr></thead>
<tbody>
{}
</tbody></table></div><p class="sim-quiet">{}</p>"""
_ROW = (
    '<tr><th scope="row">{}</th><td data-label="Sent">{}</td><td data-label="Received">{}</td>'
    '<td data-label="Result">{}</td></tr>'
)


def show(row: Attempt) -> SafeString | str:
    """Return the differences as a table, or a note why there are none."""
    diff = response_diff.build_diff(row)
    if not diff.rows:
        return diff.note
    rows = format_html_join("\n", _ROW, ((_breakable(path), *rest) for path, *rest in diff.rows))
    return format_html(_TABLE, rows, diff.note)


def _breakable(path: str) -> SafeString:
    """Return a path with possible line breaks between its steps."""
    steps = re.split(r"(?=[.\[])", path)
    return format_html_join(mark_safe("<wbr>"), "{}", ((step,) for step in steps))
