"""`/sandbox/extensions`: make an extension, and say how its runner is started."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, cast

from django.conf import settings
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from extensions import actions, certificate, tls
from extensions.models import HUB, PRODUCTS, TYPES, Environment
from requests_queue.api.fields import Id, List, String
from requests_queue.api.resources import NAMED, Field, Many, Part
from requests_queue.catalog.models import Account, User
from requests_queue.errors import Missing, Refused
from sandbox.api.schema import Exact, NoQuery, Operation, Operations, Word
from sandbox.timeline import tasks


class Shown(NamedTuple):
    """An environment, and the port that speaks TLS."""

    environment: Environment
    port: int

    @property
    def variables(self) -> dict[str, str]:
        """The variables of a runner's process, without the API key."""
        files = certificate.ensure(settings.SIM_DATA_DIR)
        return {
            "ENVIRONMENT_ID": self.environment.pk,
            "SERVER_ADDRESS": f"{HOST}:{self.port}",
            "SSL_CERT_FILE": str(Path(files.bundle)),
            "REQUESTS_CA_BUNDLE": str(Path(files.bundle)),
        }


HOST = "127.0.0.1"
EXTENSION = Part(
    "SandboxExtension",
    "An extension; `variables` are those of a runner's process, which needs API_KEY, too.",
    {
        "id": Field(str, "environment.extension.id"),
        "name": Field(str, "environment.extension.name"),
        "type": Field(str, "environment.extension.type"),
        "environment": Field(str, "environment.id"),
        "products": Many(NAMED, lambda each: each.environment.extension.products.all()),
        "installations": Field(
            list[str],
            lambda each: [row.pk for row in each.environment.installations.order_by("pk")],
        ),
        "variables": Field(dict[str, str], "variables"),
    },
)


class ExtensionInput(Exact):
    """An extension to make."""

    name = String(100, allow_blank=False, help_text="By default Extension.")
    type = Word(TYPES, help_text="By default products for a vendor, hub for a distributor.")
    products = List(
        Id(required=True),
        max_length=100,
        help_text="By default all of the account, also later ones.",
    )
    accounts = List(
        Id(required=True),
        max_length=100,
        help_text="Those that install one of several accounts, beside its own; by default all.",
    )


class ProductsInput(Exact):
    """The products that an extension is for."""

    products = List(
        Id(required=True),
        required=True,
        max_length=100,
        help_text="All of the account if there are none.",
    )


class ExtensionsView(APIView):
    """`/sandbox/extensions`: list and make."""

    operations: Operations = {
        "get": Operation("Extensions", "List the extensions", [EXTENSION]),
        "post": Operation(
            "Extensions", "Make an extension", EXTENSION, 201, body=ExtensionInput, errors=()
        ),
    }

    def get(self, request: Request) -> Response:
        """Return the extensions of the caller's account."""
        NoQuery().check_query(request.query_params)
        account = cast(Account, cast(User, request.user).account)
        rows = Environment.objects.filter(extension__account=account)
        rows = rows.select_related("extension").order_by("-extension__created_at", "pk")
        port = _port()
        return Response([EXTENSION.represent(Shown(row, port)) for row in rows])

    def post(self, request: Request) -> Response:
        """Make service, environment and installation: 201; 400 for a product of somebody else."""
        values: dict[str, Any] = ExtensionInput().check(request.data)
        port = _port()
        account = cast(Account, cast(User, request.user).account)
        row = actions.create(
            account,
            values.get("name") or "Extension",
            actions.products_of(account, values.get("products") or None),
            type=values.get("type") or (PRODUCTS if account.type == "vendor" else HUB),
            accounts=values.get("accounts") or (),
        )
        return Response(EXTENSION.represent(Shown(row, port)), status=201)


class ExtensionView(APIView):
    """`PUT /sandbox/extensions/{id}`: choose its products."""

    operations: Operations = {
        "put": Operation(
            "Extensions", "Choose the products", EXTENSION, body=ProductsInput, errors=(404,)
        ),
    }

    def put(self, request: Request, id: str) -> Response:
        """Let the extension be for other products: 200.

        400 for a product of somebody else, 404 for an extension of somebody else.
        """
        row, port = _environment(request, id), _port()
        products: list[str] = ProductsInput().check(request.data)["products"]
        extension = row.extension
        extension.products.set(actions.products_of(extension.account, products))
        return Response(EXTENSION.represent(Shown(row, port)))


def _environment(request: Request, id: str) -> Environment:
    """Return the environment of an extension of the caller's account; raises Missing."""
    account = cast(Account, cast(User, request.user).account)
    rows = Environment.objects.select_related("extension__account")
    row = rows.filter(extension=id, extension__account=account).first()
    if row is None:
        raise Missing(id)
    return row


def _port() -> int:
    """Return the port that speaks TLS, opened if it was not; raises Refused."""
    if tls.opener is None:
        raise Refused("REQ_003", "Only the process of the web server can do this.")
    return tls.opener()


class ExtensionForecastView(APIView):
    """`GET /sandbox/extensions/{id}/forecast`: `{"environment", "now", "rows"}`."""

    operations: Operations = {
        "get": Operation("Extensions", "Forecast the tasks", tasks.FORECAST, errors=(404,))
    }

    def get(self, request: Request, id: str) -> Response:
        """Return the next tasks that are planned; 404 for an extension of somebody else."""
        NoQuery().check_query(request.query_params)
        row = _environment(request, id)
        return Response(tasks.FORECAST.represent(tasks.forecast_of(row)))


urlpatterns = [
    path("extensions", ExtensionsView.as_view()),
    path("extensions/<str:id>", ExtensionView.as_view()),
    path("extensions/<str:id>/forecast", ExtensionForecastView.as_view()),
]
