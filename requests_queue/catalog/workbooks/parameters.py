"""The sheets of parameters: Ordering, Fulfillment and Configuration Parameters."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from requests_queue.api import json_validation
from requests_queue.catalog.models import Parameter
from requests_queue.catalog.representations.parameters import PARAMETER, parameter_id
from requests_queue.catalog.workbooks import sheets
from requests_queue.catalog.workbooks.reading import Row
from requests_queue.catalog.workbooks.session import Session, Table, load
from requests_queue.catalog.workbooks.sheets import Cells
from requests_queue.catalog.writes import parameters as writes
from requests_queue.catalog.writes import products

_COLUMNS = {
    "": "JSON Properties",
    "name": "ID",
    "title": "Title",
    "description": "Description",
    "type": "Type",
    "scope": "Scope",
    "phase": "Phase",
    "constraints.required": "Required",
    "constraints.unique": "Unique",
    "constraints.hidden": "Hidden",
}
_TEXTS = ("name", "title", "description", "type", "scope", "phase")
_SWITCHES = ("required", "unique", "hidden")
# What JSON Properties has beside the constraints, and what it may repeat of other columns.
_PROPERTIES = ("hint", "placeholder", "default")
_REPEATED = ("id", "name", "title", "description", "type", "scope", "phase", "position", "events")


def shown(parameter: Parameter) -> Cells:
    """Return a parameter's row."""
    data = PARAMETER.represent(parameter)
    constraints = dict(data["constraints"])
    switches = {name: constraints.pop(name) or sheets.NONE for name in _SWITCHES}
    if dependency := constraints.get("dependency"):
        # connect-cli finds the other parameter by its name.
        constraints["dependency"] = {
            **dependency,
            "parameter": {"name": dependency["parameter"]["id"]},
        }
    rest = {name: data[name] for name in _PROPERTIES if name in data}
    rest["constraints"] = constraints
    return {
        "Verbose ID": data["id"],
        "ID": data["name"],
        "Action": sheets.NONE,
        "Title": data["title"],
        "Description": data["description"],
        "Phase": data["phase"],
        "Scope": data["scope"],
        "Type": data["type"],
        "Required": switches["required"],
        "Unique": switches["unique"],
        "Hidden": switches["hidden"],
        "JSON Properties": json.dumps(rest, indent=4, sort_keys=True),
        **sheets.dated(parameter.created, parameter.updated),
    }


def load_all(session: Session, rows: Sequence[Row]) -> list[Parameter]:
    """Create and update the parameters of all sheets, and return them in order.

    First the new ones without dependencies, which may be on parameters of rows below.
    """
    fresh = [row for row in rows if not _is_known(session, row)]
    session.check()
    created = load(session, TABLE, fresh)
    session.check()
    found = dict(zip(map(_key, fresh), created, strict=True))
    for row in fresh:
        with session.row(row, _COLUMNS):
            if "dependency" in _properties(row)["constraints"]:
                each = found[_key(row)]
                _assign(session, row, each, set())
                each.save()
    known = [row for row in rows if _key(row) not in found]
    updated = load(session, TABLE, known)
    session.check()
    found |= zip(map(_key, known), updated, strict=True)
    return [found[_key(row)] for row in rows]


def _key(row: Row) -> tuple[str, int]:
    return row.sheet, row.number


def _is_known(session: Session, row: Row) -> bool:
    with session.row(row, _COLUMNS):
        return _find(session, row) is not None
    return True


def _find(session: Session, row: Row) -> Parameter | None:
    pk, name = row.key("Verbose ID"), row.key("ID")
    rows = Parameter.objects.filter(product=session.product)
    if not pk:
        return rows.filter(name=name).first()
    found = rows.filter(number=_number(session, row, pk)).first()
    if found is not None and found.name != name:
        raise row.error("ID", f"{pk} is {found.name}, whose name cannot be changed.")
    other = rows.filter(name=name).first() if found is None else None
    if other is not None:
        raise row.error("Verbose ID", f"{name} exists already as {parameter_id(other)}.")
    return found


def _number(session: Session, row: Row, pk: str) -> int:
    digits = session.product.pk.removeprefix("PRD-")
    match = re.fullmatch(rf"PRM-{digits}-(\d{{4,18}})", pk)
    if match is None:
        raise row.error("Verbose ID", f"Not an id of a parameter of {session.product.pk}.")
    return int(match[1])


def _create(session: Session, row: Row) -> Parameter:
    product = session.product
    body = _body(session, row)
    body["constraints"].pop("dependency", None)
    values = writes.ParameterInput().check(body)
    created, updated = session.dates(row)
    each = Parameter(product=product, constraints={}, created=created, updated=updated)
    writes.assign(each, values)
    pk = row.key("Verbose ID")
    each.number = _number(session, row, pk) if pk else writes.next_number(product.pk)
    each.position = products.next_position(Parameter.objects.filter(product=product))
    each.save(force_insert=True)
    return each


def _assign(session: Session, row: Row, each: Parameter, columns: set[str]) -> None:
    """Set everything: constraints and default are spread over several columns."""
    values = writes.ParameterInput().check(_body(session, row))
    each.constraints, each.default = {}, None
    writes.assign(each, values)


def _body(session: Session, row: Row) -> dict[str, Any]:
    """Return the body of the API for a row; raises CellError."""
    body: dict[str, Any] = {path: row.text(_COLUMNS[path]) for path in _TEXTS}
    if row.sheet != sheets.PARAMETERS.get(body["phase"].lower()):
        raise row.error("Phase", f'"{body["phase"][:50]}" is not the phase of this sheet.')
    properties = _properties(row)
    constraints = properties.get("constraints")
    if not isinstance(constraints, dict):
        raise row.error("JSON Properties", "constraints: Expected an object.")
    body |= {name: properties[name] for name in _PROPERTIES if name in properties}
    default = body.get("default")
    if isinstance(default, dict) and not any(default.values()):
        # Connect has {"country": null} where no country is chosen.
        del body["default"]
    switches = {name: row.switch(_COLUMNS[f"constraints.{name}"]) for name in _SWITCHES}
    return {**body, "constraints": constraints | switches}


def _properties(row: Row) -> dict[str, Any]:
    text = row.text("JSON Properties").strip()
    if not text or text == sheets.NONE:
        return {"constraints": {}}
    try:
        found = json_validation.validate_json(json_validation.parse_json(text))
    except (ValueError, RecursionError):
        raise row.error("JSON Properties", "This is not valid JSON.") from None
    if not isinstance(found, dict):
        raise row.error("JSON Properties", "Expected an object.")
    return {"constraints": {}, **found}


def name_unknown(session: Session, rows: Sequence[Row]) -> None:
    """Record the properties that parameters of Connect Sim don't have; after `load_all`."""
    constraints = writes.ConstraintsInput().fields
    for row in rows:
        properties = _properties(row)
        known = (*_PROPERTIES, *_REPEATED, "constraints")
        unknown = [name for name in properties if name not in known]
        unknown += [name for name in properties["constraints"] if name not in constraints]
        for name in unknown:
            session.skip(f'property "{name[:50]}" of parameters', 1)


TABLE = Table(shown=shown, find=_find, create=_create, assign=_assign, name="ID", columns=_COLUMNS)
