"""How the admin shows dates, JSON, headers and bodies, as escaped text.

Used by the admin pages of all apps. Text from outside is never marked as safe.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db.models import Model
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from requests_queue.safe_text import visible
from requests_queue.time_format import format_moment

NOTHING = "–"


def moment(value: datetime | None) -> str:
    """Return a date with seconds, in UTC, as logs have it."""
    return NOTHING if value is None else format_moment(value)


def text(value: str | bytes | memoryview) -> SafeString | str:
    """Return the text in a scrolling box, a dash if it is empty."""
    shown = visible(value)
    if not shown:
        return NOTHING
    # Focusable, so that it scrolls by keyboard. HTML drops the first line break of <pre>: add one.
    return format_html('<pre class="sim-text" tabindex="0">\n{}</pre>', shown)


def as_json(value: Any) -> SafeString | str:
    """Return indented JSON in a box."""
    return text(json.dumps(value, indent=2, ensure_ascii=False)) if value else NOTHING


def pairs(rows: Iterable[tuple[str, Any]]) -> SafeString | str:
    """Return headers as a table of names and values."""
    found = format_html_join(
        "\n",
        '<tr><th scope="row">{}</th><td>{}</td></tr>',
        ((visible(str(name)), visible(str(value))) for name, value in rows),
    )
    return format_html('<table class="sim-pairs">{}</table>', found) if found else NOTHING


def link(row: Model | None, label: str | None = None) -> SafeString | str:
    """Return a link to a row's page, a dash without a row."""
    return NOTHING if row is None else link_to(type(row), row.pk, label or str(row))


def link_to(model: type[Model], pk: Any, label: str) -> SafeString:
    """Return a link to the page of the row with this key."""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
    return format_html('<a href="{}">{}</a>', reverse(name, args=[quote(pk)]), label)


# Typed as Any: django-stubs take only names for the fields of an admin page.
def json_column(name: str, label: str) -> Any:
    """Return a read-only admin field that shows a JSON column in a box."""
    return column(name, label, as_json)


def moment_column(name: str, label: str) -> Any:
    """Return a read-only admin field that shows a date with seconds."""
    return column(name, label, moment)


def column(
    name: str, label: str, show: Callable[[Any], Any], *, ordering: str | None = None
) -> Any:
    """Return a read-only admin field that shows what `show` makes of a column."""

    def shown(row: Any) -> Any:
        return show(getattr(row, name))

    # Django's admin derives the CSS class of a field's row from this name.
    shown.__name__ = name
    return admin.display(description=label, ordering=ordering)(shown)
