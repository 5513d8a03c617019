"""Resources: what the API shows of a model, declared once as a table of JSON keys.

    LISTING = Resource(
        "Listing", "A product on a marketplace.",
        {
            "id": str,                                      # row.id
            "created": Stamp,                               # row.created, in Connect's form
            "unit": Field(str, "unit_title"),               # row.unit_title
            "contract": Field(CONTRACT),                    # row.contract, by the part CONTRACT
            "vendor": Field(PICTURED, "contract.vendor"),   # row.contract.vendor, by PICTURED
            "icon": Field(str, icon),                       # icon(row)
            "events": MADE,                                 # the part MADE of the row itself
            "currency": Constant("USD", str),
        },
        model=Listing, search=("id",),
    )

From the table come the function that turns a row into JSON, the component of the OpenAPI document,
the RQL filters, the names that `select` takes, and the relations that a query must join.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_origin

from django.core.exceptions import FieldDoesNotExist
from django.db.models import BooleanField, DateTimeField, IntegerField, Model, TextField
from django.db.models import Field as Column

from requests_queue import assumptions
from requests_queue.api.constants import constant
from requests_queue.api.filter_tables import computed, filters, parts
from requests_queue.api.schema import Json, Stamp

if TYPE_CHECKING:
    from requests_queue.api.filtering import ConnectFilters

# The source of a value that is the row itself.
SELF = "."
_REQUIRED: Any = object()
_COLUMNS: dict[Any, Column[Any, Any]] = {
    int: IntegerField(),
    str: TextField(),
    bool: BooleanField(),
    Stamp | None: DateTimeField(null=True),
}


def format_datetime(moment: datetime | None) -> str | None:
    """Return a date in Connect's form, `2026-11-02T10:00:00+00:00`, or None."""
    if moment is None:
        return None
    is_exact = moment.microsecond and assumptions.value("date_precision") == "microseconds"
    return moment.astimezone(UTC).isoformat(timespec="microseconds" if is_exact else "seconds")


def event_at(moment: datetime | None) -> Json | None:
    """Return a date as the API's `events` have it."""
    return None if moment is None else {"at": format_datetime(moment)}


class Field:
    """A JSON key: the type of its value, and where the value is read.

    `type` is a type of the document (`schema.py`), or the part that shows the value. `source` is
    a path of attributes, by default the key, or a function of the row. Where the value is None,
    `empty` is shown (`{}` is an AnyReference in the document), or an `optional` key is left out.
    RQL filters by every column, unless the field is `unfiltered`.
    """

    def __init__(
        self,
        type: Any,
        source: str | Callable[[Any], Any] = "",
        *,
        empty: Any = _REQUIRED,
        optional: bool = False,
        unfiltered: bool = False,
    ) -> None:
        self.type, self.source = type, source
        self.empty, self.optional, self.unfiltered = empty, optional, unfiltered

    def reader(self, key: str) -> Callable[[Any], Any]:
        """Return the function from a row to the JSON of this key.

        The function of an optional key returns None where the key is left out.
        """
        read = self.source
        if not callable(read):
            read = (lambda row: row) if read == SELF else attrgetter(read or key)
        form = self.form()
        if self.empty is _REQUIRED and not self.optional:
            return (lambda row: form(read(row))) if form else read
        empty = None if self.empty is _REQUIRED else self.empty

        def shown(row: Any) -> Any:
            value = read(row)
            if value is None:
                return copy(empty)
            return form(value) if form else value

        return shown

    def form(self) -> Callable[[Any], Any] | None:
        """Return the function from a value to its JSON, or None if the value is JSON already."""
        if isinstance(self.type, Part):
            return self.type.represent
        return format_datetime if self.type in (Stamp, Stamp | None) else None


class Constant(Field):
    """A JSON key with the same value in every object; RQL filters by a plain value."""

    def __init__(self, value: Any, type: Any, *, unfiltered: bool = False) -> None:
        self.kind = _kind(type)
        super().__init__(type, unfiltered=unfiltered or self.kind is None)
        self.constant = value

    def reader(self, key: str) -> Callable[[Any], Any]:
        """Return a function that makes a copy for each object."""
        return lambda row: deepcopy(self.constant)


def absent(*names: str, type: Any = str | None) -> dict[str, Constant]:
    """Return filters (`Resource.also`) by data of Connect's that no object has here."""
    return dict.fromkeys(names, Constant(None, type))


class Many(Field):
    """A JSON list: each row that `source` finds, shown by a part."""

    def __init__(self, part: Part, source: Callable[[Any], Any]) -> None:
        super().__init__(part, source)

    def form(self) -> Callable[[Any], Any]:
        """Return the function from rows to a list."""
        represent = self.type.represent
        return lambda rows: [represent(row) for row in rows]


class Leaf(NamedTuple):
    """A key at any depth: its dotted name and its ORM route, empty where it has no column."""

    name: str
    route: str
    field: Field
    filtered: bool


@dataclass(frozen=True, eq=False)
class Part:
    """A JSON object inside another: a component of the OpenAPI document.

    `keys` has a Field for each key, or its type alone; a Part in it shows the same row. Behind a
    relation, RQL filters by the keys in `named` only. A part that is `{}` where it is empty is not
    `required` to have its keys.
    """

    name: str
    description: str
    keys: Mapping[str, Any]
    named: Sequence[str] = ("id", "name")
    required: bool = True

    @cached_property
    def fields(self) -> dict[str, Field]:
        return {key: _as_field(value) for key, value in self.keys.items()}

    @cached_property
    def represent(self) -> Callable[[Any], Json]:
        """The function from a row to JSON; optional keys come last."""
        fields = self.fields.items()
        always = [(key, each.reader(key)) for key, each in fields if not each.optional]
        optional = [(key, each.reader(key)) for key, each in fields if each.optional]

        def represent(row: Any) -> Json:
            data = {key: read(row) for key, read in always}
            for key, read in optional:
                if (value := read(row)) is not None:
                    data[key] = value
            return data

        return represent

    def leaves(self, name: str = "", route: str = "", related: bool = False) -> Iterator[Leaf]:
        """Yield the keys at all depths; `related` is whether a relation leads to the part."""
        for key, each in self.fields.items():
            source = each.source or key
            if callable(source):
                yield Leaf(f"{name}{key}", "", each, False)
                continue
            path = route if source == SELF else f"{route}{source.replace('.', '__')}__"
            filtered = not each.unfiltered
            if isinstance(each.type, Part):
                yield Leaf(f"{name}{key}", path.removesuffix("__"), each, False)
                # A moment is a value of the row, no relation.
                below = related or (source != SELF and each.type is not HAPPENED)
                for leaf in each.type.leaves(f"{name}{key}.", path, below):
                    yield leaf._replace(filtered=filtered and leaf.filtered)
            else:
                filtered = filtered and (not related or key in self.named)
                yield Leaf(f"{name}{key}", path.removesuffix("__"), each, filtered)


@dataclass(frozen=True, eq=False, kw_only=True)
class Resource(Part):
    """The JSON object that the API serves of a model's rows.

    `search` are the keys that `search=` looks into. `also` are more filters: an ORM route, a
    Field whose source the view's query annotates, or a Constant. `custom` are filters ready for
    django-rql, and `filter_base` evaluates all filters: ConnectFilters where it is None.
    """

    model: type[Model]
    search: Sequence[str] = ()
    also: Mapping[str, str | Field] = field(default_factory=dict)
    custom: Sequence[Json] = ()
    filter_base: type[ConnectFilters] | None = None

    @cached_property
    def routes(self) -> dict[str, str]:
        """The ORM routes of the columns and annotations that RQL filters by."""
        more = {
            name: str(each.source) if isinstance(each, Field) else each
            for name, each in self.also.items()
        }
        own = {leaf.name: leaf.route for leaf in self.leaves() if leaf.filtered}
        taken = {each["filter"] for each in self.custom} | self.constants.keys()
        return {name: route for name, route in (own | more).items() if name not in taken}

    @cached_property
    def constants(self) -> dict[str, Constant]:
        """The values that RQL filters by without a column."""
        own = {leaf.name: leaf.field for leaf in self.leaves() if leaf.filtered}
        fields = (own | dict(self.also)).items()
        return {name: each for name, each in fields if isinstance(each, Constant)}

    @cached_property
    def filters(self) -> list[Json]:
        """The RQL filters, and the names that only `select` takes."""
        fields = {leaf.name: leaf.field for leaf in self.leaves()}
        fields |= {name: each for name, each in self.also.items() if isinstance(each, Field)}
        is_column = {
            name: _column(self.model, route.partition("__")[0]) is not None
            for name, route in self.routes.items()
        }
        constants = [
            constant(name, each.constant, each.kind)
            for name, each in self.constants.items()
            if each.kind
        ]
        custom = [*self.custom, *constants]
        taken = {*self.routes, *(each["filter"] for each in custom)}
        return [
            *filters(
                *(row for row in self.routes.items() if is_column[row[0]]), search=self.search
            ),
            *(
                computed(name, route, _COLUMNS[fields[name].type])
                for name, route in self.routes.items()
                if not is_column[name]
            ),
            *custom,
            *parts(
                *(
                    name
                    for name, each in fields.items()
                    if name not in taken and ("." not in name or isinstance(each.type, Part))
                )
            ),
        ]

    def columns(self, name: str) -> list[Column[Any, Any]]:
        """Return the columns from row to row that RQL filters by; none for an annotation."""
        model, found = self.model, []
        for step in self.routes[name].split("__"):
            if (column := _column(model, step)) is None:
                return []
            found.append(column)
            model = column.related_model
        return found

    @cached_property
    def filter_class(self) -> type[ConnectFilters]:
        """The filters as django-rql takes them."""
        # Not at the start: a worker declares resources, and serves none of them.
        from requests_queue.api.filtering import ConnectFilters

        filters = {"MODEL": self.model, "FILTERS": self.filters}
        return type(f"{self.name}Filters", (self.filter_base or ConnectFilters,), filters)

    @cached_property
    def related(self) -> tuple[str, ...]:
        """The relations that are shown, for `select_related`."""
        relations = {self._relation(leaf.route) for leaf in self.leaves()}
        return tuple(sorted(relations - {""}))

    def _relation(self, route: str) -> str:
        """Return the part of a route that leads from row to row."""
        model, path = self.model, []
        for step in route.split("__"):
            column = _column(model, step)
            if column is None or column.name != step or not column.many_to_one:
                break
            model = column.related_model
            path.append(step)
        return "__".join(path)


def _column(model: type[Model], name: str) -> Any:
    """Return the model's column or relation of that name, or None."""
    try:
        return model._meta.get_field(name)
    except FieldDoesNotExist:
        return None


def _kind(type_: Any) -> type | None:
    """Return the type by which RQL compares a constant, None for a list or an object."""
    if get_origin(type_) is Literal:
        return str
    if type_ == Stamp | None:
        return datetime
    return next((kind for kind in (str, int, bool) if type_ in (kind, kind | None)), None)


def _as_field(value: Any) -> Field:
    if isinstance(value, Field):
        return value
    return Field(value, SELF if isinstance(value, Part) else "")


HAPPENED = Part("Happened", "A moment.", {"at": Field(Stamp, SELF)})
CREATED = Part("Created", "The moment of an object's creation.", {"created": Field(HAPPENED)})
MADE = Part(
    "Made",
    "The moments of an object that is created and changed.",
    {"created": Field(HAPPENED), "updated": Field(HAPPENED)},
)
NAMED = Part("Named", "A reference to an object.", {"id": str, "name": str})
