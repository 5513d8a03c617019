"""The sheets Templates and Actions."""

from __future__ import annotations

import re
from typing import Any, TypeVar

from django.db import models

from requests_queue import ids
from requests_queue.catalog.models import ProductAction, Template
from requests_queue.catalog.representations.products import ACTION, TEMPLATE
from requests_queue.catalog.workbooks import sheets
from requests_queue.catalog.workbooks.reading import Row
from requests_queue.catalog.workbooks.session import Session, Table
from requests_queue.catalog.workbooks.sheets import Cells
from requests_queue.catalog.writes import actions as action_writes
from requests_queue.catalog.writes import products
from requests_queue.catalog.writes import templates as template_writes
from requests_queue.db.rows import set_columns

M = TypeVar("M", Template, ProductAction)

_TEMPLATE = {
    "": "ID",
    "name": "Title",
    "title": "Title",
    "scope": "Scope",
    "type": "Type",
    "body": "Content",
}
_ACTION = {
    "": "Verbose ID",
    "action": "ID",
    "name": "Name",
    "title": "Title",
    "description": "Description",
    "scope": "Scope",
}


def shown_template(template: Template) -> Cells:
    """Return a template's row."""
    data = TEMPLATE.represent(template)
    return {
        "ID": data["id"],
        "Title": data["title"],
        "Action": sheets.NONE,
        "Scope": data["scope"],
        "Type": data["type"],
        "Content": data["body"],
        **sheets.dated(template.created, template.updated),
    }


def shown_action(action: ProductAction) -> Cells:
    """Return an action's row."""
    data = ACTION.represent(action)
    return {
        "Verbose ID": data["id"],
        "ID": data["action"],
        "Action": sheets.NONE,
        "Name": data["name"],
        "Title": data["title"],
        "Description": data["description"],
        "Scope": data["scope"],
        **sheets.dated(action.created, action.updated),
    }


def _by_id(session: Session, row: Row, model: type[M], column: str, form: str) -> M | None:
    """Return the product's object with the id in a column; raises CellError."""
    pk = row.key(column)
    if not re.fullmatch(form, pk):
        raise row.error(column, f"Not an id like {form.replace(chr(92) + 'd', '0')}.")
    found = model._default_manager.filter(pk=pk).first()
    if found is not None and found.product_id != session.product.pk:
        raise row.error(column, f"{pk} belongs to {found.product_id}.")
    return found


def _find_template(session: Session, row: Row) -> Template | None:
    if row.key("ID"):
        return _by_id(session, row, Template, "ID", r"TL-\d\d\d-\d\d\d-\d\d\d")
    title, scope, kind = (row.text(name) for name in ("Title", "Scope", "Type"))
    rows = Template.objects.filter(product=session.product, title=title, scope=scope)
    return rows.filter(type=_type(kind)).first()


def _create_template(session: Session, row: Row) -> Template:
    values = _template_values(row, set(_TEMPLATE.values()))
    created, updated = session.dates(row)
    each = Template(product=session.product, created=created, updated=updated, **values)
    each.id = row.key("ID") or _free_id(Template, "template")
    each.position = products.next_position(Template.objects.filter(product=session.product))
    each.save(force_insert=True)
    return each


def _assign_template(session: Session, row: Row, each: Template, columns: set[str]) -> None:
    set_columns(each, _template_values(row, columns))


def _template_values(row: Row, columns: set[str]) -> dict[str, Any]:
    """Return what the cells of these columns say, by the API's rules; raises Invalid."""
    title = row.text("Title")
    body = {"title": title, "name": title, "scope": row.text("Scope"), "body": row.text("Content")}
    values = template_writes.TemplateInput().check({**body, "type": _type(row.text("Type"))})
    return {
        name: value
        for name, value in ({"type": None} | values).items()
        if _TEMPLATE[name] in columns
    }


def _type(text: str) -> str | None:
    return text if text not in ("", sheets.NONE) else None


def _find_action(session: Session, row: Row) -> ProductAction | None:
    if row.key("Verbose ID"):
        form = r"ACT-\d\d\d-\d\d\d-\d\d\d-\d\d\d"
        return _by_id(session, row, ProductAction, "Verbose ID", form)
    rows = ProductAction.objects.filter(product=session.product)
    return rows.filter(action=row.key("ID")).first()


def _create_action(session: Session, row: Row) -> ProductAction:
    created, updated = session.dates(row)
    each = ProductAction(product=session.product, created=created, updated=updated)
    _assign_action(session, row, each, set(_ACTION.values()))
    each.id = row.key("Verbose ID") or _free_id(ProductAction, "action")
    each.save(force_insert=True)
    return each


def _assign_action(session: Session, row: Row, each: ProductAction, columns: set[str]) -> None:
    body = {path: row.text(column) for path, column in _ACTION.items() if path}
    values = action_writes.ProductActionInput().check(body)
    action_writes.check_free(each, values)
    set_columns(each, {name: value for name, value in values.items() if _ACTION[name] in columns})


def _free_id(model: type[models.Model], kind: str) -> str:
    """Return an unused random id; a concurrent insert of the same one fails the import."""
    while model._default_manager.filter(pk=(pk := ids.draw(kind))).exists():
        pass
    return pk


TEMPLATES = Table(
    shown=shown_template,
    find=_find_template,
    create=_create_template,
    assign=_assign_template,
    name="ID",
    columns=_TEMPLATE,
)
ACTIONS = Table(
    shown=shown_action,
    find=_find_action,
    create=_create_action,
    assign=_assign_action,
    name="Verbose ID",
    columns=_ACTION,
)
