"""The peer of the list benchmark: Django REST Framework's own way.

ModelSerializer, django-filter, LimitOffsetPagination and JSONRenderer show the same rows in the
same order, nested as in the API's list, from the same queryset. It counts the rows and checks the
API key. It leaves out the texts of templates and the links to forms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import filters, generics, renderers, serializers
from rest_framework.pagination import LimitOffsetPagination

from requests_queue.catalog import models
from requests_queue.catalog.configured_values import of_product, with_values
from requests_queue.catalog.representations import icon
from requests_queue.queues.fulfillment import api
from requests_queue.queues.fulfillment.models import Request


class Computed(serializers.Field[Any, Any, Any, Any]):
    """A value that a function makes of the row."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__(source="*", read_only=True)
        self.function = function

    def to_representation(self, value: Any) -> Any:
        """Return the value."""
        return self.function(value)


class Moment(serializers.Serializer[Any]):
    """`{"at": …}`."""

    at = serializers.DateTimeField(source="*")


class Events(serializers.Serializer[Any]):
    """The moments of a row."""

    created = Moment()
    updated = Moment()


def serializer(model: type[Any], *names: str, **fields: Any) -> Any:
    """Return a ModelSerializer of columns and of declared fields."""
    meta = type("Meta", (), {"model": model, "fields": (*names, *fields)})
    bases = (serializers.ModelSerializer,)
    return type(f"{model.__name__}Serializer", bases, {"Meta": meta, **fields})


def named(model: type[Any], *names: str, **fields: Any) -> Any:
    """Return the field of a reference."""
    return serializer(model, "id", "name", *names, **fields)()


def sold() -> dict[str, Any]:
    """Return the fields of where a request and its asset are sold."""
    return {
        "marketplace": named(models.Marketplace, icon=Computed(icon)),
        "contract": named(models.Contract, "type"),
    }


def items(asset: models.Asset) -> Any:
    """Return the items of an asset with their configured values."""
    return with_values(asset.items, of_product(asset.product, asset.marketplace_id)[1])


class Tiers(serializers.Serializer[Any]):
    """The customer and the resellers of an asset."""

    _NAMES = ("version", "type", "external_id", "external_uid", "tax_id", "environment")
    customer = named(models.TierAccount, *_NAMES, "contact_info")
    tier1 = named(models.TierAccount, *_NAMES, "contact_info")
    tier2 = named(models.TierAccount, *_NAMES, "contact_info")


CONNECTION = serializer(
    models.Connection,
    "type",
    "status",
    id=serializers.CharField(source="public_id"),
    provider=named(models.Account),
    vendor=named(models.Account),
    hub=named(models.Hub),
    created_at=serializers.DateTimeField(source="created"),
)
ASSET = serializer(
    models.Asset,
    "id",
    "status",
    "external_id",
    "external_uid",
    "params",
    product=named(models.Product, "status", icon=Computed(icon)),
    connection=CONNECTION(),
    events=Events(source="*"),
    items=Computed(items),
    tiers=Tiers(source="*"),
    configuration=Computed(
        lambda asset: {"params": of_product(asset.product, asset.marketplace_id)[0]}
    ),
    **sold(),
)
REQUEST = serializer(
    Request,
    "id",
    "type",
    "status",
    "note",
    "reason",
    "created",
    "updated",
    "answered",
    "activation_key",
    "external_attributes",
    "planned_date",
    "effective_date",
    "previous_approved_request",
    assignee=serializer(models.User, "name", "email", id=serializers.CharField(source="uid"))(),
    asset=ASSET(),
    **sold(),
)


class Requests(generics.ListAPIView[Any]):
    """`/drf`: the requests of the caller's account."""

    serializer_class = REQUEST
    renderer_classes = [renderers.JSONRenderer]
    pagination_class = LimitOffsetPagination
    filter_backends = [DjangoFilterBackend, filters.OrderingFilter]
    filterset_fields = ["status", "product"]
    ordering = ["-created", "pk"]

    def get_queryset(self) -> QuerySet[Any]:
        """Return the visible rows with what is shown of them."""
        return api.VALIDATED.complete(Request.visible_to(self.request.user.account))
