"""The page of the command palette; the dialog loads its list. For users of an account."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from portal import layout
from portal.commands import COMMANDS, LOOKUPS, Command
from portal.identity import Viewer
from portal.palette import builtin, lookups

_MAX_LENGTH = 200


@layout.signed_in("GET")
def search(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show the objects, pages and actions that a text finds; ours without one."""
    text = request.GET.get("q", "").strip()[:_MAX_LENGTH]
    groups = [(title, rows) for title, rows in _groups(viewer, text) if rows]
    template = "results" if layout.is_htmx(request) else "search"
    context = {"text": text, "groups": groups}
    return layout.render(request, viewer, f"palette/{template}.html", context)


def _groups(viewer: Viewer, text: str) -> list[tuple[str, list[Command]]]:
    words = text.casefold().split()
    # Those of other apps are many, so they are shown where the text matches.
    more = (command for offer in COMMANDS if text for command in offer(viewer))
    actions = _matching([*builtin.actions(viewer), *more], words)
    groups = [("Pages", _matching(builtin.pages(viewer), words)), ("Actions", actions)]
    if not text:
        return groups
    found = [command for lookup in LOOKUPS for command in lookup(viewer, text)]
    actions += [command for command in found if command.is_action]
    others = [command for command in found if not command.is_action]
    objects = ("Objects", lookups.ranked(others, text))
    has_digits = any(character.isdigit() for character in text)
    first, last = ([objects], []) if has_digits else ([], [objects])
    return [*first, *groups, *last, ("Search in a list", _searches(text))]


def _matching(commands: Iterable[Command], words: list[str]) -> list[Command]:
    return [command for command in commands if command.matches(words)]


def _searches(text: str) -> list[Command]:
    """Return the searches of lists for the text."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return [
        Command(f"{name.capitalize()} with {text}", f"{reverse(name)}?{urlencode({'q': q})}")
        for name, q in (("deliveries", f'"{quoted}"'), ("webhooks", text), ("products", text))
    ]
