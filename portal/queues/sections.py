"""An object as a person reads it: sections of facts, items, parties, from its JSON of the API.

Whatever a queue's objects have is shown, so that a new queue needs nothing here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portal.queues import labels

Json = Mapping[str, Any]

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")
# What stands in a place of its own, or in the head.
_ELSEWHERE = {"id", "type", "status", "state", "product", "vendor", "provider", "items", "params",
              "tiers", "events", "created", "updated", "contact_info", "activation_key", "creator",
              "assignee", "params_form_url", "activation", "message", "icon", "version", "owner",
              "scopes", "db"}  # fmt: skip
_TITLES = {"asset": "Subscription", "configuration": "Configuration", "account": "Account",
           "parent_configuration": "Configuration above"}  # fmt: skip
_TIERS = {"customer": "Customer", "tier1": "Reseller, tier 1", "tier2": "Reseller, tier 2"}


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that is known: a text, a moment, or an address to follow; `id` stands beside."""

    label: str
    text: str = ""
    id: str = ""
    at: datetime | None = None
    link: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """Facts that belong together."""

    title: str
    facts: tuple[Fact, ...]


def sections(shown: Json, title: str, parties: Iterable[Fact]) -> list[Section]:
    """Return the object's own facts first, its parties among them, then those of each thing
    within it."""
    plain = {k: v for k, v in shown.items() if not isinstance(v, Mapping) or _is_name(v)}
    inner = {k: v for k, v in shown.items() if k not in plain and k not in _ELSEWHERE}
    # Where it is sold is said once: of the subscription, where it is of one.
    plain = {k: v for k, v in plain.items() if not any(row.get(k) == v for row in inner.values())}
    assignee = _inner(shown, "assignee").get("name")
    own = (*_facts(plain), *([Fact("Assignee", str(assignee))] if assignee else []))
    found = [Section(title, (*parties, *own, *_dates(shown)))]
    for key, value in inner.items():
        # Who it is stands among the tiers.
        if "contact_info" in value:
            continue
        title = _TITLES.get(key, labels.label(key))
        names = ("id", "status", "name") if "id" in value else ()
        first = tuple(_fact(name, value[name]) for name in names if value.get(name))
        if facts := (*first, *(f for f in _facts(value) if f.label not in ("Name",))):
            found.append(Section(title, facts))
    return [section for section in found if section.facts]


def _is_name(value: Json) -> bool:
    """Whether an object of the JSON is no more than a reference."""
    return bool(value.get("id")) and value.keys() <= {"id", "name", "icon", "email", "type",
                                                      "message"}  # fmt: skip


def _facts(node: Json, prefix: str = "") -> Iterator[Fact]:
    for key, value in node.items():
        if key in _ELSEWHERE or value in (None, "", False, [], {}):
            continue
        label = f"{prefix}{labels.label(key)}" if not prefix else f"{prefix} {labels.spaced(key)}"
        if not isinstance(value, Mapping):
            if not (isinstance(value, list) and any(isinstance(v, (dict, list)) for v in value)):
                yield _fact(key, value, label)
        elif "at" in value or value.get("id") or value.get("name"):
            yield _reference(label, value)
        elif not (value.keys() & {"id", "params"}):
            yield from _facts(value, label)


def _fact(key: str, value: Any, label: str = "") -> Fact:
    label = label or labels.label(key)
    if isinstance(value, str) and _MOMENT.match(value):
        return Fact(label, at=datetime.fromisoformat(value))
    if isinstance(value, bool):
        return Fact(label, "Yes" if value else "No")
    if isinstance(value, list):
        return Fact(label, ", ".join(str(each) for each in value))
    text = str(value)
    if key.endswith("_uri"):
        return Fact(label, "Download", link=text)
    if key == "status":
        return Fact(label, labels.spaced(text))
    return Fact(label, id=text) if key in ("id", "external_uid") else Fact(label, text)


def _reference(label: str, value: Json) -> Fact:
    if "at" in value:
        return Fact(label, at=datetime.fromisoformat(value["at"]))
    name, pk = str(value.get("name") or ""), str(value.get("id") or "")
    if not name and value.get("type"):
        name = str(value["type"])
    return Fact(label, name, id=pk)


def _dates(shown: Json) -> Iterator[Fact]:
    """Yield when what happened to the object, whichever way its JSON says so."""
    events = shown.get("events")
    moments = dict(events) if isinstance(events, Mapping) else {}
    for key in ("created", "updated"):
        if isinstance(shown.get(key), str):
            moments.setdefault(key, {"at": shown[key]})
    for key, value in moments.items():
        if isinstance(value, Mapping) and value.get("at"):
            by = value.get("by")
            who = f"by {by['name']}" if isinstance(by, Mapping) and by.get("name") else ""
            yield Fact(labels.label(key), who, at=datetime.fromisoformat(value["at"]))


def tiers(shown: Json) -> list[Section]:
    """Return the customer and the resellers, as far as there are any."""
    named = shown.get("tiers") or _inner(shown, "asset").get("tiers") or {}
    found = [(title, named.get(key)) for key, title in _TIERS.items()]
    if "contact_info" in _inner(shown, "account"):
        found.append(("Account", shown["account"]))
    return [Section(title, tuple(_who(row))) for title, row in found if row]


def _who(row: Json) -> Iterator[Fact]:
    info = row.get("contact_info") or {}
    contact = info.get("contact") or {}
    yield Fact("Company", str(row.get("name") or ""), id=str(row.get("id") or ""))
    person = " ".join(str(contact.get(k) or "") for k in ("first_name", "last_name")).strip()
    if person:
        yield Fact("Contact", person)
    if contact.get("email"):
        yield Fact("E-mail", str(contact["email"]))
    street = [info.get(k) for k in ("address_line1", "address_line2")]
    city = " ".join(str(info.get(k) or "") for k in ("postal_code", "city", "state")).strip()
    if place := ", ".join(str(part) for part in (*street, city, info.get("country")) if part):
        yield Fact("Address", place)
    for key in ("external_id", "tax_id", "environment", "version"):
        if row.get(key):
            yield Fact(labels.label(key), str(row[key]))
    if isinstance(row.get("scopes"), list):
        yield Fact("Stands as", ", ".join(row["scopes"]))


def _inner(shown: Json, key: str) -> Json:
    found = shown.get(key)
    return found if isinstance(found, Mapping) else {}


def items(shown: Json) -> list[Json]:
    """Return what is ordered or billed, as the API shows it."""
    found = shown.get("items") or _inner(shown, "asset").get("items") or []
    return [{**row, "quantity": _counted(row.get("quantity"))} for row in found]


def _counted(quantity: Any) -> str:
    """Return a quantity, which billing has as a number: 34.0 is 34."""
    return f"{quantity:g}" if isinstance(quantity, float) else str(quantity)
