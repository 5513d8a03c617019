"""The forms of a product's capabilities: one a group, saved as the API's PUT saves them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import QueryDict

from portal.products import labels
from requests_queue.catalog.models import Account, Product
from requests_queue.catalog.writes import products as writes
from requests_queue.catalog.writes.capabilities import TREE
from requests_queue.errors import Refused
from webhooks import types


@dataclass(frozen=True, slots=True)
class Group:
    """Some capabilities: their title, what they are about, their form, and how they are now."""

    slug: str
    title: str
    about: str
    form: forms.Form

    @property
    def states(self) -> list[tuple[str, Any]]:
        """What each is called, and what it is: True, False or words."""
        return [(str(f.label), _said(name, f.initial)) for name, f in self.form.fields.items()]


def groups(product: Product, data: QueryDict | None) -> list[Group]:
    """Return all groups as they are; the one that `data` names is bound to it."""
    sent = None if data is None else data.get("group")
    return [
        Group(slug, title, about, _form(product, paths, data if sent == slug else None))
        for slug, title, about, paths in labels.GROUPS
    ]


def save(product: Product, account: Account, among: list[Group]) -> Group | None:
    """Save the group that was sent, for the product's vendor; None where something is wrong.

    Raises PermissionDenied for others.
    """
    if product.owner_id != account.pk:
        raise PermissionDenied
    for group in among:
        if group.form.is_bound and group.form.is_valid():
            try:
                body = {"capabilities": _body(group.form.cleaned_data)}
                writes.update(product, writes.ProductUpdate(partial=True).check(body))
            except Refused as error:
                group.form.add_error(None, str(error))
                return None
            return group
    return None


def _form(product: Product, paths: Mapping[str, str], data: QueryDict | None) -> forms.Form:
    form = forms.Form(data)
    for path, label in paths.items():
        form.fields[path] = _field(path, label, stored(product.capabilities, path))
    return form


def _field(path: str, label: str, value: Any) -> forms.Field:
    common: dict[str, Any] = {"label": label, "required": False, "help_text": _opens(path)}
    if path in labels.CHOICES:
        choices = list(labels.CHOICES[path].items())
        # What was never said stays unsaid until somebody says it.
        unsaid = [] if value else [("", "Not said")]
        return forms.ChoiceField(
            choices=[*unsaid, *choices], initial=str(value or ""), **common
        )  # fmt: skip
    if _kind(path) is list:
        common["help_text"] = "Their names, with commas between."
        return forms.CharField(initial=", ".join(value or ()), **common)
    return forms.BooleanField(initial=bool(value), **common)


def _opens(path: str) -> str:
    """Return which webhook types a capability makes possible."""
    labels = [t.label for t in types.registered() if t.trigger and t.trigger.capability == path]
    return f"For webhooks of type {', '.join(labels)}." if labels else ""


def _kind(path: str) -> Any:
    found: Any = TREE
    for key in path.split("."):
        found = found[key]
    return found


def stored(capabilities: Mapping[str, Any], path: str) -> Any:
    """Return what a product's capabilities say at a dotted path, None where they don't."""
    *branches, leaf = path.split(".")
    found: Any = capabilities
    for key in branches:
        found = found.get(key) if isinstance(found, Mapping) else None
    if not isinstance(found, Mapping):
        return None
    # A branch with a switch of its own name is on where it lacks it and has anything else.
    return found.get(leaf, bool(found) if branches[-1] == leaf else None)


def _said(path: str, value: Any) -> Any:
    if path in labels.CHOICES:
        return labels.CHOICES[path].get(value, "Not said")
    return value or "None" if _kind(path) is list else value


def _body(cleaned: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tree of what was sent, as a PUT has it."""
    found: dict[str, Any] = {}
    for path, value in cleaned.items():
        if path in labels.CHOICES and not value:
            continue
        if _kind(path) is list:
            value = [name.strip() for name in value.split(",") if name.strip()]
        *branches, leaf = path.split(".")
        inner = found
        for key in branches:
            inner = inner.setdefault(key, {})
        inner[leaf] = value
    return found
