"""How a collection of Connect objects is served: filtered by RQL, pruned by `select`, paged.

Rows become JSON through plain functions rather than serializers (a third of the CPU); what the
rows may be filtered by is a table of names and ORM routes. Authentication, paging and errors
come from DRF's settings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, cast

from dj_rql._dataclasses import FilterArgs
from dj_rql.fields import SelectField
from dj_rql.filter_cls import RQLFilterClass
from django.db.models import CharField, Model, Q, QuerySet
from django.http import HttpResponse
from py_rql.constants import RQL_NULL, ComparisonOperators, FilterLookups
from py_rql.exceptions import RQLFilterLookupError, RQLFilterParsingError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.viewsets import GenericViewSet

from requests_queue import typed, wildcards
from requests_queue.catalog import preview
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Account, User
from requests_queue.errors import Invalid, Missing
from requests_queue.in_lookup import InLookup
from requests_queue.schema import Documented, Form

Json = dict[str, Any]

# SQLite takes no expression that is nested a thousand deep, and joined conditions are nested.
MAX_CONDITIONS = 500


def format_datetime(moment: datetime | None) -> str | None:
    """Return a date in Connect's form, `2026-11-02T10:00:00+00:00`, or None."""
    return None if moment is None else moment.astimezone(UTC).replace(microsecond=0).isoformat()


def event_at(moment: datetime | None) -> Json | None:
    """Return a date as the API's `events` have it."""
    return None if moment is None else {"at": format_datetime(moment)}


def markdown(text: str) -> HttpResponse:
    """Return the response of a `render` request: 200, `text/markdown`."""
    return HttpResponse(text, content_type="text/markdown; charset=utf-8")


def filters(*rows: str | tuple[str, str], search: Iterable[str] = ()) -> list[Json]:
    """Return RQL filters from names, or (name, ORM route): each can be ordered by."""
    found = []
    for row in rows:
        name, source = (row, row.replace(".", "__")) if isinstance(row, str) else row
        item = {"filter": name, "source": source, "ordering": True, "search": name in search}
        if source.rpartition("__")[2] == "public_id":
            # django-rql does not know generated columns.
            item |= {"dynamic": True, "field": CharField(null=True)}
        found.append(item)
    return found


def parts(*names: str, hidden: bool = False) -> list[Json]:
    """Return parts of the representation that `select` knows but that can't be filtered by."""
    return [
        {"filter": name, "dynamic": True, "field": SelectField(), "hidden": hidden}
        for name in names
    ]


def inside_json(*names: str) -> list[Json]:
    """Return filters that look into a JSON list; `build_q_for_custom_filter` makes the query."""
    lookups = {FilterLookups.EQ, FilterLookups.NE, FilterLookups.IN, FilterLookups.OUT,
               FilterLookups.LIKE, FilterLookups.I_LIKE}  # fmt: skip
    return [{"filter": name, "custom": True, "lookups": lookups} for name in names]


class ConnectFilters(RQLFilterClass):  # type: ignore[misc]
    """django-rql's filters, with Connect's spellings.

    `asset__product__id` is `asset.product.id`; an unknown name is an error rather than no
    filter, because a handler that filters by a misspelt name would process everything.
    """

    SELECT = True
    Q_CLS = InLookup

    # How many conditions the query has so far.
    _conditions = 0

    def apply_filters(self, query: str, request: Any = None, view: Any = None) -> Any:
        """Return the parsed query and the rows that fit it; raises RQLFilterError."""
        self._conditions = 0
        return super().apply_filters(query, request, view)

    def build_q_for_filter(self, data: FilterArgs) -> Q:
        """Return the condition for one comparison; raises RQLFilterError."""
        if data.filter_name in ("limit", "offset"):
            # Paging, which the paginator reads.
            return Q()
        name = self._known(data.filter_name)
        if name != data.filter_name:
            data = FilterArgs(name, data.operator, data.str_value, list_operator=data.list_operator)
        shown = self._placeholder(data)
        self._count(data, is_own=shown is not None)
        if shown is not None:
            return ~shown if data.operator == ComparisonOperators.NE else shown
        condition: Q = super().build_q_for_filter(data)
        return condition

    def _placeholder(self, data: FilterArgs) -> Q | None:
        """Return the condition that a row has no hub, contract, … or the preview environment's,
        where `null()` or the placeholder's identifier is asked for: in Connect they are equal."""
        item = self.get_filter_base_item(data.filter_name)
        route = str(item.get("orm_route", "")) if item else ""
        given = preview.PLACEHOLDERS.get("__".join(route.split("__")[-2:]))
        equal = data.operator in (ComparisonOperators.EQ, ComparisonOperators.NE)
        if given is None or not equal or data.str_value not in (given, RQL_NULL):
            return None
        return Q(**{route: given}) | Q(**{f"{route}__isnull": True})

    def _count(self, data: FilterArgs, *, is_own: bool) -> None:
        """Raise RQLFilterParsingError where the query has too many conditions.

        Values of a list become one condition (`one_of`), except nulls, and where a filter makes
        its own (`is_own`: a placeholder's).
        """
        item = self.get_filter_base_item(data.filter_name) or {}
        is_own = is_own or data.str_value == RQL_NULL or bool(item.get("custom"))
        if data.list_operator and not is_own:
            return
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            raise RQLFilterParsingError(
                details={
                    "error": f"A query may have at most {MAX_CONDITIONS} conditions. Write "
                    "several values of one property as a list: in(id,(A,B))."
                }
            )

    @classmethod
    def _get_searching_django_lookup(cls, filter_lookup: str, str_value: str) -> str:
        if filter_lookup == FilterLookups.I_LIKE:
            return wildcards.ILike.lookup_name
        # An index finds what is compared as a whole.
        is_whole = wildcards.literal(cls.remove_quotes(str_value)) is not None
        return "exact" if is_whole else wildcards.Like.lookup_name

    @classmethod
    def _get_searching_typed_value(cls, django_lookup: str, str_value: str) -> str:
        text: str = cls.remove_quotes(str_value)
        if django_lookup == "exact":
            return wildcards.literal(text) or ""
        wildcards.pieces(text)
        return text

    def _known(self, name: str) -> str:
        if name == "search" or name in self.filters:
            return name
        dotted = name.replace("__", ".")
        if dotted in self.filters:
            return dotted
        raise RQLFilterLookupError(details={"error": f"Unknown property: {name}."})

    def _get_filter_name_with_sign_for_ordering(self, prop: str) -> tuple[str, str]:
        sign = "-" if prop.startswith("-") else ""
        name = prop.lstrip("+- ").replace("__", ".")
        return {"pk": "id"}.get(name, name), sign

    @classmethod
    def _is_field_nullable(cls, field: Any) -> bool:
        # A relation can be missing though the column behind it can't be null: `assignee.id`.
        return True

    @staticmethod
    def _convert_datetime_value(value: str) -> datetime:
        moment: datetime = RQLFilterClass._convert_datetime_value(value)
        try:
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        except OverflowError:
            raise ValueError(value) from None


def prune(data: Json, select: Mapping[str, bool]) -> Json:
    """Drop from an object what `select` excludes, by dotted paths."""
    for dotted, wanted in select.items():
        if wanted:
            continue
        node: Any = data
        *parents, last = dotted.split(".")
        for key in parents:
            node = node.get(key) if isinstance(node, dict) else None
        if isinstance(node, dict):
            node.pop(last, None)
    return data


class Collection(GenericViewSet):  # type: ignore[type-arg]
    """List and detail of a kind of object, as far as the caller's account may see them."""

    lookup_value_regex = "[^/]+"
    # What one SELECT brings along.
    related: ClassVar[tuple[str, ...]] = ()
    # The columns that a list's entries show; without any, whole rows are read.
    columns: ClassVar[tuple[str, ...]] = ()
    # Row -> JSON, of a list's entry and of a detail.
    represent: Callable[[Any], Json]
    represent_detail: Callable[[Any], Json] | None = None
    # What the OpenAPI document says of it; None leaves it to what the code shows.
    documented: ClassVar[Documented | None] = None
    # Calls that answer with a page of objects, beside `list`.
    lists: ClassVar[frozenset[str]] = frozenset()

    @property
    def user(self) -> User:
        """The caller; the permission lets in only users of an account."""
        return cast(User, self.request.user)

    @property
    def account(self) -> Account:
        """The caller's account."""
        return cast(Account, self.user.account)

    @property
    def body(self) -> dict[str, Any]:
        """The body of the call; the parser lets in only objects.

        Raises Invalid where a field has another JSON type than the document gives it.
        """
        found = cast("dict[str, Any]", self.request.data)
        bodies = self.documented.bodies if self.documented else {}
        hint = bodies.get(self.kwargs.get("name") or self.action)
        # A form has texts and a file only.
        is_json = hint is not None and not isinstance(hint, Form)
        if is_json and (wrong := list(typed.errors(found, hint))):
            raise Invalid.of(wrong)
        return found

    @property
    def actor(self) -> Actor:
        """The caller, as transitions know actors."""
        return Actor(self.user, self.account)

    def visible(self) -> QuerySet[Any]:
        """Return the rows that the caller's account may see, with what they are filtered by."""
        raise NotImplementedError

    def complete(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows with all that is shown of them."""
        return rows.select_related(*self.related)

    def get_queryset(self) -> QuerySet[Any]:
        """Return the visible rows, complete."""
        return self.complete(self.visible())

    def list(self, request: Request, **kwargs: Any) -> Response:
        """Answer 200 with an array and `Content-Range`."""
        rows = in_full_order(self.filter_queryset(self.visible()))
        keys = self.paginate_queryset(rows.values_list("pk", flat=True))
        select = _selected(request)
        represent = type(self).represent
        page = self._read(rows.model, keys or ())
        return self.get_paginated_response([prune(represent(row), select) for row in page])

    def _read(self, model: type[Model], keys: Sequence[Any]) -> Iterator[Any]:
        """Yield the complete rows of a page, in its order.

        Pages are found by keys alone, so that an index can tell them without the rows, however
        far behind they are; what is shown is then joined to a page and not to all that fits.
        """
        if not keys:
            return
        rows = self.complete(model._default_manager.filter(pk__in=keys)).order_by()
        found = {row.pk: row for row in (rows.only(*self.columns) if self.columns else rows)}
        # One that was deleted meanwhile is missing.
        yield from (found[key] for key in keys if key in found)

    def retrieve(self, request: Request, **kwargs: Any) -> Response:
        """Answer 200 with the object, 404 where there is none for this account."""
        return self.answer(self.get_object())

    def get_object(self) -> Any:
        """Return the row that the path names; raises Missing."""
        pk = self.kwargs["pk"]
        row = self.find(self.get_queryset(), pk)
        if row is None:
            raise Missing(pk)
        return row

    def find(self, rows: QuerySet[Any], pk: str) -> Model | None:
        """Return the row by its id in the path."""
        return rows.filter(pk=pk).first()

    def answer(self, row: Any, status: int = 200) -> Response:
        """Answer with the detail of a row."""
        represent = type(self).represent_detail or type(self).represent
        return Response(represent(row), status=status)


def in_full_order(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return the rows with the primary key as the last thing they are ordered by."""
    order = rows.query.order_by or tuple(rows.model._meta.ordering)
    names = {str(name).lstrip("-") for name in order}
    return rows if names & {"pk", "id"} else rows.order_by(*order, "pk")


def _selected(request: Request) -> Mapping[str, bool]:
    found: Mapping[str, bool] = getattr(request, "rql_select", {"select": {}})["select"]
    return found


def routes(prefix: str, view: type[Collection], *extra: Any) -> list[Any]:
    """Return the URL patterns of a collection: what the view has of list, create, retrieve,
    update, destroy, and its actions; `extra` patterns come first."""
    router = SimpleRouter(trailing_slash=False)
    router.register(prefix, view, prefix)
    return [*extra, *router.urls]
