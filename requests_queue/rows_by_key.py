"""Rows by their keys, read by SQL that is compiled once per database connection.

For a page of requests, the ORM takes longer to compile the SQL and that of its prefetches than the
database takes to run it. Only for querysets that are the same for every request.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from typing import Any

from django.db import connection, connections
from django.db.models import ForeignKey, Prefetch, QuerySet
from django.db.models.query import get_related_populators

from requests_queue import sql

# Two, because one would be compared with `=`; a text column has their digits.
_MARKERS = (0, 1)


def compiled(name: Hashable, rows: Callable[[], QuerySet[Any]]) -> RowsByKey:
    """Return what reads those rows by primary key on this thread's connection."""
    # Not of `connection`, which stands for that of any thread.
    own = connections[connection.alias]
    kept: dict[Hashable, RowsByKey] = own.__dict__.setdefault("rows_by_key", {})
    if name not in kept:
        kept[name] = RowsByKey(rows())
    return kept[name]


class RowsByKey:
    """The rows of a queryset whose column has one of some keys, with what it joins and prefetches.

    For the connection of one thread. A prefetch is a foreign key, or the rows of a reverse one in
    an attribute (`to_attr`).
    """

    def __init__(self, rows: QuerySet[Any], column: str = "pk") -> None:
        meta = rows.model._meta
        field = meta.pk if column == "pk" else meta.get_field(column)
        query = rows.filter(**{f"{column}__in": _MARKERS}).query
        self._alias = connection.alias
        self._compiler = query.get_compiler(using=self._alias)
        text, params = self._compiler.as_sql()
        quote = connection.ops.quote_name
        found = f"{quote(meta.db_table)}.{quote(field.column)} IN (%s, %s)"
        self._before, _, self._after = text.partition(found)
        self._in = found.removesuffix("%s, %s)")
        at = self._before.count("%s")
        self._first, self._last = params[:at], params[at + len(_MARKERS) :]
        self._read_columns()
        self._prefetches = [
            _prefetch(rows.model, each)
            for each in rows._prefetch_related_lookups  # type: ignore[attr-defined]
        ]

    def _read_columns(self) -> None:
        """Note which columns make which instances, as `ModelIterable` does."""
        compiler, alias = self._compiler, self._alias
        info: Any = compiler.klass_info
        select: Any = compiler.select
        columns = info["select_fields"]
        self._model, self._columns = info["model"], slice(columns[0], columns[-1] + 1)
        self._names = [each[0].target.attname for each in select[self._columns]]
        # The stubs are of a later Django.
        self._related = get_related_populators(info, select, alias)  # type: ignore[call-arg]
        self._annotations = list((compiler.annotation_col_map or {}).items())
        shown = [each[0] for each in select[: compiler.col_count]]
        self._converters = {
            position: ([_cheaper(each) for each in converters], expression)
            for position, (converters, expression) in compiler.get_converters(shown).items()
        }

    def read(self, keys: Iterable[Any]) -> list[Any]:
        """Return the rows, in the order of the queryset."""
        params = [*self._first, *keys, *self._last]
        count = len(params) - len(self._first) - len(self._last)
        if not count:
            return []
        marks = sql.placeholders(range(count))
        with connection.cursor() as cursor:
            cursor.execute(f"{self._before}{self._in}{marks}){self._after}", params)
            found = cursor.fetchall()
        values = self._compiler.apply_converters(found, self._converters)
        rows = [self._row(each) for each in values]
        for prefetch in self._prefetches:
            prefetch.add_to(rows)
        return rows

    def _row(self, values: Sequence[Any]) -> Any:
        row = self._model.from_db(self._alias, self._names, values[self._columns])
        for each in self._related:
            each.populate(values, row)
        for name, position in self._annotations:
            setattr(row, name, values[position])
        return row


def _cheaper(converter: Callable[..., Any]) -> Callable[..., Any]:
    """Return a converter that does the same: that of SQLite's datetimes reads settings for each."""
    if converter != getattr(connection.ops, "convert_datetimefield_value", None):
        return converter
    return lambda value, expression, connection: sql.datetime_value(value)


def _prefetch(model: Any, lookup: str | Prefetch[Any]) -> _Forward | _Reverse:
    """Return the prefetch of a queryset of that model; raises TypeError for one of other kinds."""
    through = lookup if isinstance(lookup, str) else lookup.prefetch_through
    rows = None if isinstance(lookup, str) else lookup.queryset
    *path, last = through.split("__")
    for name in path:
        model = model._meta.get_field(name).related_model
    field = model._meta.get_field(last)
    if rows is None:
        rows = field.related_model._base_manager.all()
    if field.many_to_one:
        return _Forward(path, field, RowsByKey(rows))
    if not field.one_to_many or isinstance(lookup, str) or not lookup.to_attr:
        raise TypeError(f"{through} is no foreign key, and no reverse one with to_attr.")
    key = field.remote_field
    return _Reverse(path, key, RowsByKey(rows, key.name), lookup.to_attr)


class _Forward:
    """The rows that a foreign key refers to, each one object for all that refer to it."""

    def __init__(self, path: Collection[str], field: ForeignKey[Any, Any], rows: RowsByKey) -> None:
        self._path, self._field, self._rows = path, field, rows

    def add_to(self, rows: Iterable[Any]) -> None:
        """Set the foreign key of the rows at the path."""
        field, owners = self._field, _at(rows, self._path)
        keys = dict.fromkeys(getattr(each, field.attname) for each in owners)
        keys.pop(None, None)
        found = {row.pk: row for row in self._rows.read(keys)}
        for owner in owners:
            field.set_cached_value(owner, found.get(getattr(owner, field.attname)))


class _Reverse:
    """The rows that refer to a row, as a list in an attribute."""

    def __init__(
        self, path: Collection[str], field: ForeignKey[Any, Any], rows: RowsByKey, name: str
    ) -> None:
        self._path, self._field, self._rows, self._name = path, field, rows, name

    def add_to(self, rows: Iterable[Any]) -> None:
        """Set the attribute of the rows at the path."""
        owners: dict[Any, list[Any]] = {}
        for owner in _at(rows, self._path):
            owners.setdefault(owner.pk, []).append(owner)
        lists: dict[Any, list[Any]] = {pk: [] for pk in owners}
        for row in self._rows.read(owners):
            key = getattr(row, self._field.attname)
            self._field.set_cached_value(row, owners[key][0])
            lists[key].append(row)
        for pk, same in owners.items():
            for owner in same:
                setattr(owner, self._name, lists[pk])


def _at(rows: Iterable[Any], path: Iterable[str]) -> list[Any]:
    """Return the objects that a path of foreign keys leads to, each once."""
    for name in path:
        # What has been read before, without Django's descriptor.
        found = (row._state.fields_cache[name] for row in rows)
        rows = {id(each): each for each in found if each is not None}.values()
    return list(rows)
