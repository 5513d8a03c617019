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

From the table come the function that turns a row into JSON (compiled, because lists spend their
time there), the component of the OpenAPI document, the RQL filters, the names that `select` takes,
and the relations that a query must join.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from django.core.exceptions import FieldDoesNotExist
from django.db.models import BooleanField, DateTimeField, IntegerField, Model, TextField
from django.db.models import Field as Column

from requests_queue.filter_tables import computed, filters, parts
from requests_queue.schema import Json, Stamp

if TYPE_CHECKING:
    from requests_queue.filtering import ConnectFilters

# The source of a value that is the row itself.
SELF = "."
_REQUIRED: Any = object()
_COLUMNS: dict[Any, Column[Any, Any]] = {
    int: IntegerField(), str: TextField(), bool: BooleanField(),
    Stamp | None: DateTimeField(null=True),
}  # fmt: skip


def format_datetime(moment: datetime | None) -> str | None:
    """Return a date in Connect's form, `2026-11-02T10:00:00+00:00`, or None."""
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds")


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
        self, type: Any, source: str | Callable[[Any], Any] = "", *, empty: Any = _REQUIRED,
        optional: bool = False, unfiltered: bool = False,
    ) -> None:  # fmt: skip
        self.type, self.source = type, source
        self.empty, self.optional, self.unfiltered = empty, optional, unfiltered

    def expression(self, key: str, row: str, names: Json) -> str:
        """Return the Python expression of the JSON; `names` are the objects that it refers to."""
        value = self.value(key, row, names)
        if self.empty is _REQUIRED:
            return self.shown(value, names)
        held = _bind(None, names)
        return f"{self.empty!r} if ({held} := {value}) is None else {self.shown(held, names)}"

    def value(self, key: str, row: str, names: Json) -> str:
        """Return the Python expression of the value."""
        if callable(self.source):
            return f"{_bind(self.source, names)}({row})"
        return row if self.source == SELF else f"{row}.{self.source or key}"

    def shown(self, value: str, names: Json) -> str:
        """Return the Python expression of the JSON of a value."""
        if not isinstance(self.type, Part):
            is_moment = self.type in (Stamp, Stamp | None)
            return f"{_bind(format_datetime, names)}({value})" if is_moment else value
        if self.type.has_optional:
            return f"{_bind(self.type.represent, names)}({value})"
        return self.type.literal(value, names)


class Constant(Field):
    """A JSON key with the same value in every object."""

    def __init__(self, value: Any, type: Any) -> None:
        super().__init__(type, unfiltered=True)
        self.constant = value

    def expression(self, key: str, row: str, names: Json) -> str:
        """Return the Python literal, which makes a new list or dict for each object."""
        return repr(self.constant)


class Many(Field):
    """A JSON list: each row that `source` finds, shown by a part."""

    def __init__(self, part: Part, source: Callable[[Any], Any]) -> None:
        super().__init__(part, source)

    def shown(self, value: str, names: Json) -> str:
        """Return the Python expression of the list."""
        return f"[{_bind(self.type.represent, names)}(each) for each in {value}]"


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
        """The fields by key."""
        return {key: _as_field(value) for key, value in self.keys.items()}

    @cached_property
    def has_optional(self) -> bool:
        """Whether a key may be left out, so that an expression can't build the object."""
        return any(each.optional for each in self.fields.values())

    @cached_property
    def represent(self) -> Callable[[Any], Json]:
        """The function from a row to JSON."""
        names: Json = {}
        lines = ["def represent(row):", f"    data = {self.literal('row', names)}"]
        for key, each in self.fields.items():
            if each.optional:
                held = _bind(None, names)
                lines.append(f"    if ({held} := {each.value(key, 'row', names)}) is not None:")
                lines.append(f"        data[{key!r}] = {each.shown(held, names)}")
        # Every name in the code comes from a table, never from a request.
        exec("\n".join([*lines, "    return data"]), names)
        represent: Callable[[Any], Json] = names["represent"]
        return represent

    def literal(self, row: str, names: Json) -> str:
        """Return the Python expression of the object, without its optional keys."""
        held = row if row.isidentifier() else _bind(None, names)
        # The first key that reads the row keeps it in a variable for the others.
        use = row if row == held else f"({held} := {row})"
        pairs = []
        for key, each in self.fields.items():
            if not each.optional:
                pairs.append(f"{key!r}: {each.expression(key, use, names)}")
                use = held if use in pairs[-1] else use
        return f"{{{', '.join(pairs)}}}"

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

    `search` are the keys that `search=` looks into. `also` are more filters: an ORM route, or a
    Field whose source the view's query annotates. `custom` are filters ready for django-rql, and
    `filter_base` evaluates all filters: ConnectFilters where it is None.
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
        return {
            name: route for name, route in (own | more).items()
            if name not in {each["filter"] for each in self.custom}
        }  # fmt: skip

    @cached_property
    def filters(self) -> list[Json]:
        """The RQL filters, and the names that only `select` takes."""
        fields = {leaf.name: leaf.field for leaf in self.leaves()}
        fields |= {name: each for name, each in self.also.items() if isinstance(each, Field)}
        is_column = {name: self._is_column(route) for name, route in self.routes.items()}
        taken = {*self.routes, *(each["filter"] for each in self.custom)}
        return [
            *filters(*(row for row in self.routes.items() if is_column[row[0]]),
                     search=self.search),
            *(computed(name, route, _COLUMNS[fields[name].type])
              for name, route in self.routes.items() if not is_column[name]),
            *self.custom,
            *parts(*(name for name, each in fields.items() if name not in taken
                     and ("." not in name or isinstance(each.type, Part)))),
        ]  # fmt: skip

    @cached_property
    def filter_class(self) -> type[ConnectFilters]:
        """The filters as django-rql takes them."""
        # Not at the start: a worker declares resources, and serves none of them.
        from requests_queue.filtering import ConnectFilters

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

    def _is_column(self, route: str) -> bool:
        return _column(self.model, route.partition("__")[0]) is not None


def _column(model: type[Model], name: str) -> Any:
    """Return the model's column or relation of that name, or None."""
    try:
        return model._meta.get_field(name)
    except FieldDoesNotExist:
        return None


def _as_field(value: Any) -> Field:
    if isinstance(value, Field):
        return value
    return Field(value, SELF if isinstance(value, Part) else "")


def _bind(value: Any, names: Json) -> str:
    """Add an object, or a variable, to the names of compiled code, and return its name."""
    name = f"_{len(names)}"
    names[name] = value
    return name


HAPPENED = Part("Happened", "A moment.", {"at": Field(Stamp, SELF)})
CREATED = Part("Created", "The moment of an object's creation.", {"created": Field(HAPPENED)})
MADE = Part(
    "Made", "The moments of an object that is created and changed.",
    {"created": Field(HAPPENED), "updated": Field(HAPPENED)},
)  # fmt: skip
NAMED = Part("Named", "A reference to an object.", {"id": str, "name": str})
