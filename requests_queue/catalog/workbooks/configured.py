"""The sheet Configuration: values of the parameters of the configuration phase."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from requests_queue.api import json_validation
from requests_queue.catalog import visibility
from requests_queue.catalog.models import Configuration, Parameter
from requests_queue.catalog.parameter_values import STRUCTURED
from requests_queue.catalog.representations.parameters import CONFIGURATION, parameter_by_id
from requests_queue.catalog.workbooks import sheets
from requests_queue.catalog.workbooks.reading import Row
from requests_queue.catalog.workbooks.session import Session
from requests_queue.catalog.workbooks.sheets import Cells
from requests_queue.catalog.writes import configurations as writes

_COLUMNS = {
    "": "ID",
    "parameter": "Parameter",
    "item": "Item ID",
    "marketplace": "Marketplace ID",
    "value": "Value",
    "structured_value": "Value",
}


def shown(row: Configuration) -> Cells:
    """Return the row of a configured value."""
    data = CONFIGURATION.represent(row)
    item, marketplace = data.get("item", {}), data.get("marketplace", {})
    parameter = data["parameter"]
    value = data["value"]
    if "structured_value" in data:
        value = json.dumps(data["structured_value"], indent=4, sort_keys=True)
    return {
        "ID": f"{parameter['id']}#{item.get('id', '')}#{marketplace.get('id', '')}",
        "Parameter": parameter["id"],
        "Scope": parameter["scope"],
        "Action": sheets.NONE,
        "Item ID": item.get("id", sheets.NONE),
        "Item Name": item.get("name", sheets.NONE),
        "Marketplace ID": marketplace.get("id", sheets.NONE),
        "Marketplace Name": marketplace.get("name", sheets.NONE),
        "Value": value,
    }


def load_all(session: Session, rows: Sequence[Row]) -> None:
    """Set, change and clear values; those of unknown marketplaces are skipped."""
    places = set(visibility.marketplaces(session.product.owner).values_list("pk", flat=True))
    named = set()
    for row in rows:
        with session.row(row, _COLUMNS):
            marketplace = row.key("Marketplace ID") or None
            value = row.text("Value")
            if marketplace and marketplace not in places:
                if value not in ("", sheets.NONE):
                    session.skip(f"configured values of {marketplace}, which does not exist")
                continue
            pk = _load(session, row, marketplace, "" if value == sheets.NONE else value)
            if pk in named:
                raise row.error("ID", "Another row is about the same.")
            named.add(pk)
    stored = Configuration.objects.filter(product=session.product)
    session.kept += [
        {"sheet": sheets.CONFIGURATION, "id": str(shown(each)["ID"])}
        for each in stored.select_related("parameter", "item", "marketplace")
        if (each.parameter_id, each.item_id, each.marketplace_id) not in named
    ]


def _load(session: Session, row: Row, marketplace: str | None, text: str) -> Any:
    """Store the value of a row, and return what it is about."""
    parameter = _parameter(session, row)
    item = row.key("Item ID") or None
    about = {"parameter": parameter.pk, "item": item, "marketplace": marketplace}
    before = Configuration.objects.filter(**about).first()
    if before is not None or text:
        value = _value(row, parameter, text)
        body = {
            "parameter": {"id": parameter.name},
            "item": item and {"id": item},
            "marketplace": marketplace and {"id": marketplace},
            **value,
        }
        if before is None or value != _stored(before):
            after = writes.put(session.product, writes.ConfigurationInput().check(body))
            name = str(shown(after)["ID"])
            if before is None:
                session.created(row.sheet, name)
            else:
                session.updated(row.sheet, name, ["Value"])
    return parameter.pk, item, marketplace


def _parameter(session: Session, row: Row) -> Parameter:
    """Return the parameter, which old files name by its name instead of its id."""
    named = row.key("Parameter") or row.key("ID").partition("#")[0]
    rows = Parameter.objects.filter(parameter_by_id(named), product=session.product)
    found = rows.first()
    if found is None:
        raise row.error("Parameter", f"Parameter {named[:100]} does not exist.")
    return found


def _value(row: Row, parameter: Parameter, text: str) -> dict[str, Any]:
    """Return the value as the API takes it, by the type of the parameter; raises CellError."""
    if not text:
        return {"value": None}
    if parameter.type not in STRUCTURED:
        return {"value": text}
    try:
        found = json_validation.validate_json(json_validation.parse_json(text))
    except (ValueError, RecursionError):
        raise row.error("Value", f"A {parameter.type} is an object in JSON.") from None
    return {"structured_value": found} if found else {"value": None}


def _stored(row: Configuration) -> dict[str, Any]:
    if row.structured_value is not None:
        return {"structured_value": row.structured_value}
    return {"value": row.value}
