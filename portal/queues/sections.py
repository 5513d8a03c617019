"""The JSON of an object as sections of facts, items and parties.

Generic: a new queue needs no code here.
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
# Shown elsewhere on the page, or not at all.
_ELSEWHERE = {
    "id",
    "type",
    "status",
    "state",
    "product",
    "vendor",
    "provider",
    "items",
    "params",
    "tiers",
    "events",
    "created",
    "updated",
    "contact_info",
    "activation_key",
    "creator",
    "assignee",
    "params_form_url",
    "activation",
    "message",
    "icon",
    "version",
    "owner",
    "scopes",
    "db",
}
_TITLES = {
    "asset": "Subscription",
    "configuration": "Configuration",
    "account": "Account",
    "parent_configuration": "Configuration above",
}
_TIERS = {"customer": "Customer", "tier1": "Reseller, tier 1", "tier2": "Reseller, tier 2"}


@dataclass(frozen=True, slots=True)
class Fact:
    """A label with a text, a time or a link; `id` is shown beside it."""

    label: str
    text: str = ""
    id: str = ""
    at: datetime | None = None
    link: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """Facts under a title."""

    title: str
    facts: tuple[Fact, ...]


def sections(shown: Json, title: str, parties: Iterable[Fact]) -> list[Section]:
    """Return the object's own facts with its parties, then one section for each nested object."""
    plain = {k: v for k, v in shown.items() if not isinstance(v, Mapping) or _is_name(v)}
    inner = {k: v for k, v in shown.items() if k not in plain and k not in _ELSEWHERE}
    # Don't repeat facts of nested objects, such as the marketplace of the subscription.
    plain = {k: v for k, v in plain.items() if not any(row.get(k) == v for row in inner.values())}
    assignee = _inner(shown, "assignee").get("name")
    own = (*_facts(plain), *([Fact("Assignee", str(assignee))] if assignee else []))
    result = [Section(title, (*parties, *own, *_dates(shown)))]
    for key, value in inner.items():
        # Accounts are shown as tiers.
        if "contact_info" in value:
            continue
        title = _TITLES.get(key, labels.label(key))
        names = ("id", "status", "name") if "id" in value else ()
        first = tuple(_fact(name, value[name]) for name in names if value.get(name))
        if facts := (*first, *(f for f in _facts(value) if f.label not in ("Name",))):
            result.append(Section(title, facts))
    return [section for section in result if section.facts]


def _is_name(value: Json) -> bool:
    """Whether an object of the JSON is only a reference."""
    return bool(value.get("id")) and value.keys() <= {
        "id",
        "name",
        "icon",
        "email",
        "type",
        "message",
    }


def _facts(node: Json, prefix: str = "") -> Iterator[Fact]:
    for key, value in node.items():
        # 0 is a value, which equals False.
        if key in _ELSEWHERE or value is False or value in (None, "", [], {}):
            continue
        label = f"{prefix}{labels.label(key)}" if not prefix else f"{prefix} {labels.spaced(key)}"
        if isinstance(value, list) and all(isinstance(v, Mapping) and _is_name(v) for v in value):
            yield Fact(label, ", ".join(str(each.get("name") or each["id"]) for each in value))
        elif not isinstance(value, Mapping):
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
    """Yield the times of the object's events, whichever form its JSON has."""
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
    """Return the customer and the resellers."""
    named = shown.get("tiers") or _inner(shown, "asset").get("tiers") or {}
    accounts = [(title, named.get(key)) for key, title in _TIERS.items()]
    if "contact_info" in _inner(shown, "account"):
        accounts.append(("Account", shown["account"]))
    return [Section(title, tuple(_account(row))) for title, row in accounts if row]


def _account(row: Json) -> Iterator[Fact]:
    info = row.get("contact_info") or {}
    contact = info.get("contact") or {}
    yield Fact("Company", str(row.get("name") or ""), id=str(row.get("id") or ""))
    person = " ".join(str(contact.get(k) or "") for k in ("first_name", "last_name")).strip()
    if person:
        yield Fact("Contact", person)
    if contact.get("email"):
        yield Fact("Email", str(contact["email"]))
    street = [info.get(k) for k in ("address_line1", "address_line2")]
    city = " ".join(str(info.get(k) or "") for k in ("postal_code", "city", "state")).strip()
    if place := ", ".join(str(part) for part in (*street, city, info.get("country")) if part):
        yield Fact("Address", place)
    for key in ("external_id", "tax_id", "environment", "version"):
        if row.get(key):
            yield Fact(labels.label(key), str(row[key]))
    if isinstance(row.get("scopes"), list):
        yield Fact("Scopes", ", ".join(row["scopes"]))


def _inner(shown: Json, key: str) -> Json:
    value = shown.get(key)
    return value if isinstance(value, Mapping) else {}


def items(shown: Json) -> list[Json]:
    """Return the items of an order or a bill."""
    rows = shown.get("items") or _inner(shown, "asset").get("items") or []
    return [{**row, "quantity": _quantity(row.get("quantity"))} for row in rows]


def _quantity(quantity: Any) -> str:
    """Return a quantity, which is a number in billing: 34.0 as `34`."""
    return f"{quantity:g}" if isinstance(quantity, float) else str(quantity)
