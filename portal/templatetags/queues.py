"""What templates of the queues' pages draw: statuses, and words for names."""

from __future__ import annotations

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from portal.queues import labels

register = template.Library()
register.filter("words", labels.spaced)


@register.simple_tag
def badge(status: str) -> SafeString:
    """Draw a status in its colour."""
    tone = labels.tone(status)
    more = f" badge-{tone}" if tone else ""
    return format_html('<span class="badge{}">{}</span>', more, labels.spaced(status))
