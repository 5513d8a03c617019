"""Versions of products and their parts, which are stored as the API shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from dj_rql.fields import SelectField
from django.db.models import BooleanField, Case, IntegerField, Q, TextField, When
from django.db.models import Field as Column
from django.db.models.fields.json import KT
from django.db.models.functions import Cast

from requests_queue.api.filter_tables import (
    computed,
    custom_text,
    filters,
    looked_up,
    switch_in,
    text_fits,
    text_in,
)
from requests_queue.api.resources import HAPPENED, SELF, Field, Part, Resource
from requests_queue.api.schema import Json, Stamp
from requests_queue.catalog.models import (
    Item,
    Parameter,
    ProductAction,
    ProductVersion,
    Template,
    VersionPart,
)
from requests_queue.catalog.representations import PICTURED, icon
from requests_queue.catalog.representations.parameters import PARAMETER
from requests_queue.catalog.representations.products import (
    ACTION,
    ITEM,
    PRODUCT,
    TEMPLATE,
    item_is_frozen,
)

if TYPE_CHECKING:
    from dj_rql.filter_cls import FilterArgs


class Stored(Field):
    """A JSON key of `content`, which has it in the form of the API already."""

    def form(self) -> None:
        """Return None: the value is JSON."""


def _stored(key: str, each: Field) -> Field:
    return Stored(each.type, lambda row: row.content.get(key), optional=each.optional)


# What a version has of its own, or of the product now: paths of pictures contain a signature. The
# rest is the product's when the version was created.
_OWN: dict[str, Any] = {
    "icon": Field(str, lambda row: icon(row.product)),
    "owner": Field(PICTURED, "product.owner"),
    "version": Field(int, "number"),
    "published_at": Field(Stamp, "created"),
    "latest": Field(bool, lambda row: row.number == row.product.version),
    "stats": Field(PRODUCT.fields["stats"].type, "product"),
    "visibility": Field(PRODUCT.fields["visibility"].type, SELF),
    "changes_description": Field(str, unfiltered=True),
    "public": bool,
    "staging": bool,
    "events": Part(
        "VersionEvents",
        "The moments of a version: it is published when it is created.",
        {
            "created": Field(HAPPENED),
            "published": Field(HAPPENED, "created"),
            "updated": Field(HAPPENED),
        },
    ),
}
_CONTENT = {
    key: each
    for key, each in PRODUCT.fields.items()
    # The end of its sale is no part of a version.
    if key not in (*_OWN, "replacement", "end_of_sale_notes")
}
_READERS = {key: each.reader(key) for key, each in _CONTENT.items()}
VERSION = Resource(
    "ProductVersion",
    "A published version of a product: what the product was when the version was created.",
    {
        key: _OWN[key] if key in _OWN else _stored(key, _CONTENT[key])
        for key in PRODUCT.fields
        if key in _OWN or key in _CONTENT
    },
    model=ProductVersion,
)


def content(product: Any) -> Json:
    """Return what a version stores of a product."""
    return {key: read(product) for key, read in _READERS.items()}


# Filters that are named otherwise than the key that they compare.
_KEYS = {
    "verbose_id": "id",
    "global_id": "id",
    "item_type": "type",
    "description.value": "description",
}
_COLUMNS = {
    "id": "key",
    "events.created.at": "created",
    "events.updated.at": "updated",
    "events.saleended.at": "sale_ended",
}
_TYPES: Mapping[Any, Column[Any, Any]] = {bool: BooleanField(), int: IntegerField()}


@dataclass(frozen=True)
class Kind:
    """A kind of part: its model, the resource that it is shown by, and a second name for paths.

    The filters of a list are those of the product's list: by the same names, with the same values
    of a part, which are in `data` here.
    """

    name: str
    model: Any
    resource: Resource
    also_by: str = ""

    @cached_property
    def filter_class(self) -> Any:
        """The filters as django-rql takes them, by columns and `aliases`."""
        from requests_queue.api.filtering import ConnectFilters

        rows = [self._filter(row) for row in self.resource.filters]
        table = {"MODEL": VersionPart, "FILTERS": rows}
        return type(f"{self.resource.name}VersionFilters", (ConnectFilters,), table)

    def _filter(self, row: Json) -> Json:
        name: str = row["filter"]
        if name == "id" and row.get("custom"):
            # Also by the other name, as in paths.
            return looked_up(name, self.by_id, ordering="key")
        if column := _COLUMNS.get(_KEYS.get(name, name)):
            return filters((name, column), search=[name] if row.get("search") else ())[0]
        if name in self.resource.constants or isinstance(row.get("field"), SelectField):
            return row
        alias, more = _alias(name), {"search": row.get("search", False)}
        if self._is_nullable(name):
            return custom_text(name, partial(_fits, alias), ordering=alias, **more)
        return computed(name, alias, self._type(name)) | more

    def by_id(self, pk: str) -> Q:
        """Return the condition that a part has this id, or the other name."""
        other = {f"data__{self.also_by}": pk} if self.also_by else {}
        return Q(("key", pk), *other.items(), _connector=Q.OR)

    @cached_property
    def aliases(self) -> dict[str, Any]:
        """The values in `data` that lists are filtered by."""
        return {
            _alias(name): self._value(name)
            for name in self.resource.routes
            if _KEYS.get(name, name) not in _COLUMNS
        }

    def _type(self, name: str) -> Column[Any, Any]:
        fields = {leaf.name: leaf.field for leaf in self.resource.leaves()}
        fields |= {key: each for key, each in self.resource.also.items() if isinstance(each, Field)}
        if known := _TYPES.get(getattr(fields.get(name), "type", str)):
            return known
        # Whether it can be compared with `empty()`.
        *_, own = self.resource.columns(name) or [TextField()]
        return TextField(blank=own.blank)

    def _value(self, name: str) -> Any:
        if name == "frozen":
            return item_is_frozen("data__status")
        path = f"data__{_KEYS.get(name, name).replace('.', '__')}"
        column = self._type(name)
        if isinstance(column, BooleanField):
            return switch_in(path)
        value = Cast(KT(path), column)
        if self._is_nullable(name):
            # SQLite reads a null in JSON as the text "null".
            return Case(When(**{path: None}, then=None), default=value)
        return value if isinstance(column, IntegerField) else text_in(path)

    def _is_nullable(self, name: str) -> bool:
        return any(each.null for each in self.resource.columns(name))


def _fits(alias: str, data: FilterArgs) -> Q:
    return text_fits(data, alias)


def _alias(name: str) -> str:
    return f"in_data_{name.replace('.', '_')}"


KINDS = (
    Kind("items", Item, ITEM, also_by="local_id"),
    Kind("parameters", Parameter, PARAMETER, also_by="name"),
    Kind("templates", Template, TEMPLATE),
    Kind("actions", ProductAction, ACTION),
)
