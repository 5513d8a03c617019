"""How a collection of Connect objects is served: filtered by RQL, pruned by `select`, paged.

Rows become JSON through plain functions rather than serializers (a third of the CPU). Filters,
representations and joins come from the view's resource. Authentication, paging and errors come
from DRF's settings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, cast

from django.db.models import Model, QuerySet
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.viewsets import GenericViewSet

from requests_queue.api.fields import Input, List
from requests_queue.api.filtering import ConnectFilters
from requests_queue.api.json_paths import value_at
from requests_queue.api.resources import Resource
from requests_queue.api.schema import Documented, Form, Json
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Account, User
from requests_queue.db.rows import find_one
from requests_queue.errors import Missing


def markdown(text: str) -> HttpResponse:
    """Return the response of a `render` request: 200, `text/markdown`."""
    return HttpResponse(text, content_type="text/markdown; charset=utf-8")


def prune(data: Json, select: Mapping[str, bool]) -> Json:
    """Drop from an object what `select` excludes, by dotted paths."""
    for dotted, wanted in select.items():
        if wanted:
            continue
        *parents, last = dotted.split(".")
        node = value_at(data, parents)
        if isinstance(node, dict):
            node.pop(last, None)
    return data


class Collection(GenericViewSet):  # type: ignore[type-arg]
    """List and detail of a kind of object, as far as the caller's account may see them."""

    lookup_value_regex = "[^/]+"
    # The resource in `documented`.
    resource: ClassVar[Resource | None] = None
    rql_filter_class: ClassVar[type[ConnectFilters] | None] = None
    # What one SELECT brings along.
    related: ClassVar[tuple[str, ...]] = ()
    # Row -> JSON, of a list's entry and of a detail.
    represent: Callable[[Any], Json]
    represent_detail: Callable[[Any], Json] | None = None
    # What the OpenAPI document says of it; None leaves it to what the code shows. Unless the view
    # has its own, `related`, `represent` and `rql_filter_class` come from a resource in it.
    documented: ClassVar[Documented | None] = None
    # The bodies that calls take, by the name of the view's method.
    bodies: ClassVar[Mapping[str, Input | List | Form]] = {}
    # Calls that answer with a page of objects, beside `list`.
    lists: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls) -> None:
        documented = cls.__dict__.get("documented")
        resource = documented.listed or documented.shown if documented else None
        if isinstance(resource, Resource) and resource is not cls.resource:
            cls.resource = resource
            defaults = {
                "related": resource.related,
                "represent": staticmethod(resource.represent),
                "rql_filter_class": resource.filter_class,
            }
            for name in defaults.keys() - cls.__dict__.keys():
                setattr(cls, name, defaults[name])

    @property
    def user(self) -> User:
        """The caller; the permission lets in only users of an account."""
        return cast(User, self.request.user)

    @property
    def account(self) -> Account:
        """The caller's account."""
        return cast(Account, self.user.account)

    @property
    def data(self) -> dict[str, Any]:
        """The call's body as it came; the parser lets in only objects."""
        return cast("dict[str, Any]", self.request.data)

    @property
    def body(self) -> dict[str, Any]:
        """The values of the call's body; raises Invalid."""
        serializer = self.bodies.get(self.action)
        return serializer.check(self.data) if isinstance(serializer, Input) else self.data

    @property
    def actor(self) -> Actor:
        """The caller, as transitions know actors."""
        return Actor(self.user, self.account)

    def visible(self) -> QuerySet[Any]:
        """Return the rows that the caller's account may see, with what they are filtered by."""
        raise NotImplementedError

    def listed(self) -> QuerySet[Any]:
        """Return the rows that lists have: by default all visible ones."""
        return self.visible()

    def annotations(self) -> Mapping[str, Any]:
        """Return the values that the database computes of a row, to show and to filter by."""
        return {}

    def filtered_by(self) -> Mapping[str, Any]:
        """Return the values that the database computes of a row to filter a list by."""
        return {}

    def complete(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows with all that is shown of them."""
        related = rows.select_related(*self.related)
        result: QuerySet[Any] = related.annotate(**self.annotations())
        return result

    def get_queryset(self) -> QuerySet[Any]:
        """Return the visible rows, complete."""
        return self.complete(self.visible())

    def list(self, request: Request, **kwargs: Any) -> Response:
        """Answer 200 with an array and `Content-Range`.

        A page is found by keys alone, so that an index can tell them without the rows, however
        far behind they are; what is shown is then joined to a page and not to all that fits.
        """
        visible = self.listed().alias(**self.annotations(), **self.filtered_by())
        filtered = in_full_order(self.filter_queryset(visible))
        keys = self.paginate_queryset(filtered.values_list("pk", flat=True)) or ()
        complete = self.complete(filtered.model._default_manager.all()).order_by()
        rows = {row.pk: row for row in complete.filter(pk__in=keys)} if keys else {}
        select = getattr(request, "rql_select", {"select": {}})["select"]
        self.load_selected(rows.values(), select)
        represent = type(self).represent
        # A row that was deleted meanwhile is missing.
        page = [prune(represent(rows[key]), select) for key in keys if key in rows]
        return self.get_paginated_response(page)

    def load_selected(self, rows: Iterable[Any], select: Mapping[str, bool]) -> None:
        """Load, for the rows of a page, the parts that a list has only if `select` names them."""

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
        return find_one(rows.filter(pk=pk))

    def answer(self, row: Any, status: int = 200) -> Response:
        """Answer with the detail of a row."""
        represent = type(self).represent_detail or type(self).represent
        return Response(represent(row), status=status)

    def created(self, row: Model) -> Response:
        """Answer 201 with the detail of a new row, as the database has it."""
        return self.answer(self.get_queryset().get(pk=row.pk), 201)


def in_full_order(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return the rows with the primary key as the last thing they are ordered by."""
    order = rows.query.order_by or tuple(rows.model._meta.ordering)
    names = {str(name).lstrip("-") for name in order}
    return rows if names & {"pk", "id"} else rows.order_by(*order, "pk")


def routes(prefix: str, view: type[Collection], *extra: Any) -> list[Any]:
    """Return the URL patterns of a collection, `extra` patterns first.

    They are for what the view has of list, create, retrieve, update, destroy, and its actions.
    """
    router = SimpleRouter(trailing_slash=False)
    router.register(prefix, view, prefix)
    return [*extra, *router.urls]
