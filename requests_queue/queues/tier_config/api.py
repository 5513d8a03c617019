"""`/tier/config-requests` and `/tier/configs`: what Connect serves of the tier config queue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Prefetch, Q, QuerySet
from django.http import HttpResponse
from rest_framework.decorators import action
from rest_framework.request import Request as HttpRequest
from rest_framework.response import Response

from requests_queue import assumptions
from requests_queue.api.schema import MARKDOWN, Answer, Documented
from requests_queue.catalog import configured_values, sales_context, templates
from requests_queue.catalog.models.accounts import name_by
from requests_queue.catalog.representations.orders import show_capabilities
from requests_queue.catalog.rest import Collection, markdown, routes
from requests_queue.queues.api import ValidatedCollection, queue_routes
from requests_queue.queues.tier_config import creation, effects, representations, rules, setup
from requests_queue.queues.tier_config.models import OPEN, TierConfig, TierConfigRequest
from requests_queue.queues.validation import Validated

_RELATED_OF_CONFIG = ("account", "template")
_RELATED = (
    "assignee",
    "template",
    *(f"configuration__{name}" for name in _RELATED_OF_CONFIG),
    "configuration__parent__account",
    "configuration__parent__template",
)


def _open(route: str) -> Prefetch[Any]:
    """Return the prefetch of a configuration's open requests and drafts by this lookup."""
    rows = TierConfigRequest.objects.filter(status__in=(*OPEN, "draft"))
    return Prefetch(route, rows.only("id", "status", "configuration"), to_attr="open_requests")


def _complete(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return requests with everything that their representations need."""
    return rows.select_related(*_RELATED).prefetch_related(
        *sales_context.prefetch("configuration__"),
        configured_values.prefetch("configuration__"),
        templates.prefetch("configuration__"),
        _open("configuration__requests"),
        _open("configuration__parent__requests"),
    )


def _customers(row: TierConfigRequest) -> list[tuple[str, str]]:
    """Return the reseller of a request, with its label."""
    is_first = row.configuration.tier_level == 1
    label = "Reseller" if is_first else "Reseller of the upper tier"
    return [(label, row.configuration.account.name)]


class TierConfigRequests(ValidatedCollection):
    """`/tier/config-requests`: the tier configuration queue, for both parties."""

    documented = Documented(
        "Tiers",
        "tier config request",
        representations.REQUEST,
        answers={"approve": Answer(200, representations.APPROVAL), "render": MARKDOWN},
    )
    bodies = {
        "create": creation.CREATE,
        "update": creation.UPDATE,
        "validate": creation.UPDATE,
    }
    queue = rules.QUEUE
    # MuleSoft's handlers return the parameters in the second path.
    service = Validated(
        queue=rules.QUEUE,
        complete=_complete,
        represent=representations.REQUEST.represent,
        create=creation.create,
        edit=creation.edit,
        check_updatable=effects.check_updatable,
        apply=creation.edit,
        text=representations.text_of_request,
        write=creation.write_params,
        paths=(("params",), ("configuration", "params")),
        customers=_customers,
        level=lambda row: int(row.configuration.tier_level),
    )
    without_answer = frozenset({"assign", "unassign", "fail", "inquire", "pend"})
    # connect-sdk 22 and the Haxe SDK name nobody.
    assigns_caller = True

    def filtered_by(self) -> Mapping[str, Any]:
        """Return the name of who works on a request, and the template, as shown."""
        template = templates.shown_id(
            {scope: Q(configuration__tier_level=level) for level, scope in setup.SCOPES.items()}
        )
        return {"assignee_name": name_by("assignee__"), "template_shown": template}

    def load_selected(self, rows: Iterable[Any], select: Mapping[str, bool]) -> None:
        """Show the capabilities of the products if `select` names them."""
        if select.get("configuration.product.capabilities"):
            for row in rows:
                show_capabilities(row.configuration.product)

    def done(self, name: str) -> Response:
        """Respond to an action: to an approval with the text and its date, as in the document."""
        if name == "approve" and assumptions.value("action_status") == "documented":
            return Response(representations.APPROVAL.represent(self.get_object()))
        return super().done(name)


class TierConfigs(Collection):
    """`/tier/configs`: the configurations of both parties' connections, read-only."""

    documented = Documented(
        "Tiers", "tier config", representations.CONFIG, answers={"render": MARKDOWN}
    )
    related = _RELATED_OF_CONFIG

    def visible(self) -> QuerySet[TierConfig]:
        """Return the configurations of the caller's connections."""
        return creation.visible_configs(self.account)

    def complete(self, rows: QuerySet[TierConfig]) -> QuerySet[TierConfig]:
        """Return the configurations, each with what is open and configured about it."""
        shared = *sales_context.prefetch(), configured_values.prefetch()
        return super().complete(rows).prefetch_related(*shared, _open("requests"))

    @action(detail=True, methods=["get"])
    def render(self, request: HttpRequest, pk: str) -> HttpResponse:
        """Answer 200 with what the reseller reads, as Markdown."""
        return markdown(representations.text_of_config(self.get_object()))


urlpatterns = [
    *queue_routes("tier/config-requests", TierConfigRequests),
    *routes("tier/configs", TierConfigs),
]
