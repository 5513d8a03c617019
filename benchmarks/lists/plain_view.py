"""The baseline of the list benchmark: a plain Django view that returns `values()`.

It returns the same rows in the same order, with every column that the API's list shows, and checks
the API key. It does not count the rows, ignores the configuration of products, and does not nest.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseForbidden, JsonResponse
from django.http.response import HttpResponseBase
from django.urls import include, path

from benchmarks.lists import drf_view
from requests_queue.catalog import keys
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


def requests(request: HttpRequest) -> HttpResponseBase:
    """Return 200 with the requests of a status and a product, newest first."""
    user = keys.owner(request.headers.get("Authorization", "").removeprefix("ApiKey "))
    if user is None or user.account is None:
        return HttpResponseForbidden()
    rows = Request.visible_to(user.account).filter(
        status=request.GET["status"], product=request.GET["product"]
    )
    first, count = int(request.GET["offset"]), int(request.GET["limit"])
    page = rows.order_by("-created", "pk").values(*COLUMNS)[first : first + count]
    return JsonResponse(list(page), safe=False)


urlpatterns = [
    path("public/v1/plain", requests),
    path("public/v1/drf", drf_view.Requests.as_view()),
    path("", include("connect_sim.urls")),
]
