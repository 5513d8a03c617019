"""Forms of a product's capabilities: one for each group, saved as by the API's PUT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import QueryDict

from portal.products import labels
from requests_queue.api.json_paths import set_value, value_at
from requests_queue.catalog import audit
from requests_queue.catalog.models import Account, Product
from requests_queue.catalog.writes import products as writes
from requests_queue.catalog.writes.capabilities import TREE
from requests_queue.errors import Refused
from webhooks import types


def groups(product: Product, data: QueryDict | None) -> list[dict[str, Any]]:
    """Return the groups of capabilities, each with its form, and the label and state of each one.

    The form of the group that `data` names is bound to it.
    """
    submitted = None if data is None else data.get("group")
    found = []
    for slug, title, about, paths in labels.GROUPS:
        form = _form(product, paths, data if submitted == slug else None)
        states = [(str(f.label), _state(name, f.initial)) for name, f in form.fields.items()]
        found.append({"slug": slug, "title": title, "about": about, "form": form, "states": states})
    return found


def save(product: Product, account: Account, among: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Save the submitted group and return it; None if it has errors.

    Raises PermissionDenied for other accounts than the product's vendor.
    """
    if product.owner_id != account.pk:
        raise PermissionDenied
    for group in among:
        form: forms.Form = group["form"]
        if form.is_bound and form.is_valid():
            try:
                body = {"capabilities": _body(form.cleaned_data)}
                _write(product, writes.ProductUpdate(partial=True).check(body))
            except Refused as error:
                form.add_error(None, str(error))
                return None
            return group
    return None


@transaction.atomic
def _write(product: Product, values: Mapping[str, Any]) -> None:
    writes.update(product, dict(values))
    action = audit.Action.CATALOG_EDIT
    audit.record(action, "product", product.pk, account=product.owner_id, fields=values)


def _form(product: Product, paths: Mapping[str, str], data: QueryDict | None) -> forms.Form:
    form = forms.Form(data)
    for path, label in paths.items():
        form.fields[path] = _field(path, label, stored(product.capabilities, path))
    return form


def _field(path: str, label: str, value: Any) -> forms.Field:
    common: dict[str, Any] = {"label": label, "required": False, "help_text": _webhook_types(path)}
    if path in labels.CHOICES:
        choices = list(labels.CHOICES[path].items())
        # An unset capability stays unset until it is chosen.
        unset = [] if value else [("", "Not set")]
        return forms.ChoiceField(choices=[*unset, *choices], initial=str(value or ""), **common)
    if _kind(path) is list:
        common["help_text"] = "Comma-separated names."
        return forms.CharField(initial=", ".join(value or ()), **common)
    return forms.BooleanField(initial=bool(value), **common)


def _webhook_types(path: str) -> str:
    """Return which webhook types require a capability."""
    labels = [t.label for t in types.registered() if t.trigger and t.trigger.capability == path]
    return f"Required by webhooks of type {', '.join(labels)}." if labels else ""


def _kind(path: str) -> Any:
    return value_at(TREE, path.split("."))


def stored(capabilities: Mapping[str, Any], path: str) -> Any:
    """Return a capability by its dotted path, None if it is not set."""
    *branches, leaf = path.split(".")
    node = value_at(capabilities, branches)
    if not isinstance(node, Mapping):
        return None
    # A non-empty branch without the switch of its own name counts as on.
    return node.get(leaf, bool(node) if branches[-1] == leaf else None)


def _state(path: str, value: Any) -> Any:
    if path in labels.CHOICES:
        return labels.CHOICES[path].get(value, "Not set")
    return value or "None" if _kind(path) is list else value


def _body(cleaned: Mapping[str, Any]) -> dict[str, Any]:
    """Return the submitted capabilities as the tree of a PUT."""
    body: dict[str, Any] = {}
    for path, value in cleaned.items():
        if path in labels.CHOICES and not value:
            continue
        if _kind(path) is list:
            value = [name.strip() for name in value.split(",") if name.strip()]
        set_value(body, path, value)
    return body
