"""What templates of products draw: texts of vendors, constraints in words."""

from __future__ import annotations

from django import template
from django.utils.safestring import SafeString

from portal import markdown as texts
from portal.products import labels
from requests_queue.catalog.models import Parameter

register = template.Library()


@register.filter
def markdown(text: str) -> SafeString:
    """Render a vendor's Markdown."""
    return texts.html(text)


@register.filter
def constraints(parameter: Parameter) -> list[str]:
    """Say what a parameter's value must be."""
    return labels.constraints(parameter)
