"""The baselines of B9: a plain Django view, and Django REST Framework's own way.

The plain view returns `values()`: the same rows in the same order, with every column that the API's
list shows, and checks the API key. It does not count the rows, ignores the configuration of
products, and does not nest. The other one is ModelSerializer, django-filter, LimitOffsetPagination
and JSONRenderer: nested as in the API's list, from the same queryset, with a count. It leaves out
the texts of templates and the links to forms.
"""

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseForbidden, JsonResponse
from django.http.response import HttpResponseBase
from django.urls import include, path
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import filters, generics, renderers, serializers
from rest_framework.pagination import LimitOffsetPagination

from requests_queue.catalog import keys, models
from requests_queue.catalog.configured_values import of_product, with_values
from requests_queue.catalog.representations import icon
from requests_queue.queues.fulfillment import api
from requests_queue.queues.fulfillment.models import Request

_TIER = (
    "id",
    "version",
    "name",
    "type",
    "external_id",
    "external_uid",
    "tax_id",
    "environment",
    "contact_info",
)
COLUMNS = (
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
    "items",
    "params",
    "planned_date",
    "effective_date",
    "previous_approved_request_id",
    "assignee__uid",
    "assignee__first_name",
    "assignee__last_name",
    "assignee__email",
    "template__id",
    "template__name",
    "template__body",
    "marketplace__id",
    "marketplace__name",
    "contract__id",
    "contract__type",
    "contract__name",
    "asset__id",
    "asset__status",
    "asset__external_id",
    "asset__external_uid",
    "asset__created",
    "asset__updated",
    "asset__product__id",
    "asset__product__name",
    "asset__product__status",
    "asset__connection__id",
    "asset__connection__type",
    "asset__connection__status",
    "asset__connection__created",
    "asset__connection__provider__id",
    "asset__connection__provider__name",
    "asset__connection__vendor__id",
    "asset__connection__vendor__name",
    "asset__connection__hub__id",
    "asset__connection__hub__name",
    *(f"asset__{tier}__{name}" for tier in ("customer", "tier1", "tier2") for name in _TIER),
    "asset__marketplace__id",
    "asset__marketplace__name",
    "asset__contract__id",
    "asset__contract__type",
    "asset__contract__name",
)


def plain(request: HttpRequest) -> HttpResponseBase:
    user = keys.owner(request.headers.get("Authorization", "").removeprefix("ApiKey "))
    if user is None or user.account is None:
        return HttpResponseForbidden()
    rows = Request.visible_to(user.account).filter(
        status=request.GET["status"], product=request.GET["product"]
    )
    first, count = int(request.GET["offset"]), int(request.GET["limit"])
    page = rows.order_by("-created", "pk").values(*COLUMNS)[first : first + count]
    return JsonResponse(list(page), safe=False)


class _Computed(serializers.Field[Any, Any, Any, Any]):
    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__(source="*", read_only=True)
        self.function = function

    def to_representation(self, value: Any) -> Any:
        return self.function(value)


def serializer(model: type[Any], *names: str, **fields: Any) -> Any:
    """Return a ModelSerializer of columns and of declared fields."""
    meta = type("Meta", (), {"model": model, "fields": (*names, *fields)})
    bases = (serializers.ModelSerializer,)
    return type(f"{model.__name__}Serializer", bases, {"Meta": meta, **fields})


def named(model: type[Any], *names: str, **fields: Any) -> Any:
    return serializer(model, "id", "name", *names, **fields)()


class _Tiers(serializers.Serializer[Any]):
    customer, tier1, tier2 = (serializer(models.TierAccount, *_TIER)() for _ in range(3))


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
    product=named(models.Product, "status", icon=_Computed(icon)),
    connection=CONNECTION(),
    events=_Computed(
        lambda asset: {"created": {"at": asset.created}, "updated": {"at": asset.updated}}
    ),
    items=_Computed(
        lambda asset: with_values(asset.items, of_product(asset.product, asset.marketplace_id)[1])
    ),
    tiers=_Tiers(source="*"),
    configuration=_Computed(
        lambda asset: {"params": of_product(asset.product, asset.marketplace_id)[0]}
    ),
    marketplace=named(models.Marketplace, icon=_Computed(icon)),
    contract=named(models.Contract, "type"),
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
    marketplace=named(models.Marketplace, icon=_Computed(icon)),
    contract=named(models.Contract, "type"),
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
        return api.VALIDATED.complete(Request.visible_to(self.request.user.account))


urlpatterns = [
    path("public/v1/plain", plain),
    path("public/v1/drf", Requests.as_view()),
    path("", include("connect_sim.urls")),
]
