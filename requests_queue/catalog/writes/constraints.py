"""The constraints of a parameter, as a body gives them: each of its own kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from requests_queue.catalog.models import Parameter
from requests_queue.catalog.representations.products import parameter_by_id
from requests_queue.catalog.writes.given import Given

CHOOSING = ("dropdown", "choice", "checkbox")
_SWITCHES = ("required", "hidden", "unique", "reconciliation", "readonly")
_MAX_LENGTH = 1_000_000


def merge(row: Parameter, given: Given) -> dict[str, Any]:
    """Return a parameter's constraints with the given ones in place of theirs; raises Invalid.

    What Connect has and we don't know is left out, as it would mean nothing here.
    """
    found = dict(row.constraints)
    for name in _SWITCHES:
        if name in given:
            found[name] = given.switch(name)
    for name in ("min_length", "max_length"):
        if given.data.get(name) is not None:
            found[name] = given.number(name, 0, _MAX_LENGTH)
    if given.data.get("shared") is not None:
        found["shared"] = given.choice("shared", ("none", "view", "edit"))
    for name in ("display_content", "level"):
        if name in given:
            found[name] = given.text(name, 10_000)
    if given.data.get("choices") is not None:
        found["choices"] = _choices(given)
    if given.data.get("dependency") is not None:
        found["dependency"] = _dependency(row, given.inner("dependency"))
    if found.get("min_length", 0) > found.get("max_length", _MAX_LENGTH):
        raise given.wrong("min_length", "This is more than max_length.")
    if row.type in CHOOSING and not found.get("choices"):
        raise given.wrong("choices", "This list may not be empty.")
    return found


def _choices(given: Given) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    for entry in given.several("choices"):
        if isinstance(entry, str):
            entry = {"value": entry, "label": entry}
        if not isinstance(entry, Mapping):
            raise given.wrong("choices", "Expected objects with value and label.")
        row = Given(entry, f"{given.path}choices.")
        value = row.text("value", 255, blank=False)
        if entry.get("default") is not None:
            row.switch("default")
        found.append({"value": value, "label": row.text("label", 255) or value})
    values = [row["value"] for row in found]
    if len(set(values)) < len(values):
        raise given.wrong("choices", "Values of choices must differ.")
    return found


def _dependency(row: Parameter, given: Given) -> dict[str, Any]:
    """Return on which values of which other parameter a parameter depends; raises Invalid."""
    values = given.several("values")
    if not all(isinstance(value, str) for value in values):
        raise given.wrong("values", "Not a valid string.")
    switches = {
        name: given.switch(name) if name in given else False
        for name in ("required", "hidden", "readonly")
    }
    wanted = given.inner("parameter")
    key = "name" if wanted.data.get("id") is None and "name" in wanted else "id"
    said = wanted.text("name", blank=False) if key == "name" else given.id_of("parameter")
    others = Parameter.objects.filter(product=row.product).exclude(pk=row.pk)
    # Stored by its name, which is its id in orders.
    name = others.filter(parameter_by_id(said)).values_list("name", flat=True).first()
    if name is None:
        raise wanted.wrong(key, f"Parameter {said} does not exist.")
    return {"parameter": {"id": name}, "values": values, **switches}
