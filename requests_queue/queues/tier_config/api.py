"""`/tier/config-requests` and `/tier/configs`: what Connect serves of the tier config queue."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from rest_framework.decorators import action
from rest_framework.request import Request as HttpRequest
from rest_framework.response import Response

from requests_queue.catalog import configured_values, sales_context
from requests_queue.queues.api import ValidatedCollection, queue_routes
from requests_queue.queues.services import Service
from requests_queue.queues.tier_config import (
    creation,
    queries,
    representations,
    rules,
    validation,
)
from requests_queue.queues.tier_config.models import TierConfig
from requests_queue.rest import Collection, markdown, routes
from requests_queue.schema import MARKDOWN, Answer, Documented


class TierConfigRequests(ValidatedCollection):
    """`/tier/config-requests`: the tier configuration queue, for both parties."""

    documented = Documented(
        "Tiers", "tier config request", representations.REQUEST,
        answers={"approve": Answer(200, representations.APPROVAL), "render": MARKDOWN},
    )  # fmt: skip
    bodies = {
        "create": creation.CREATE, "update": creation.UPDATE, "validate": creation.UPDATE,
    }  # fmt: skip
    queue = rules.QUEUE
    service = Service(
        complete=queries.with_related, represent=representations.REQUEST.represent,
        create=creation.create, edit=creation.edit, text=representations.text_of_request,
    )  # fmt: skip
    validated = validation.VALIDATED
    related = queries.RELATED
    without_answer = frozenset({"assign", "unassign", "fail", "inquire", "pend"})
    # connect-sdk 22 and the Haxe SDK name nobody.
    assigns_caller = True

    def visible(self) -> QuerySet[Any]:
        """Return the requests of both parties."""
        return queries.with_shown(super().visible())

    def done(self, name: str) -> Response:
        """Respond to an action: to an approval with the text and its date, as in the document."""
        if name == "approve":
            return Response(representations.APPROVAL.represent(self.get_object()))
        return super().done(name)


class TierConfigs(Collection):
    """`/tier/configs`: the configurations of both parties' connections, read-only."""

    documented = Documented(
        "Tiers", "tier config", representations.CONFIG, answers={"render": MARKDOWN}
    )
    related = queries.RELATED_OF_CONFIG

    def visible(self) -> QuerySet[TierConfig]:
        """Return the configurations of the caller's connections."""
        return creation.visible_configs(self.account)

    def complete(self, rows: QuerySet[TierConfig]) -> QuerySet[TierConfig]:
        """Return the configurations, each with what is open and configured about it."""
        shared = *sales_context.prefetch(), configured_values.prefetch()
        return super().complete(rows).prefetch_related(*shared, queries.prefetch_open("requests"))

    @action(detail=True, methods=["get"])
    def render(self, request: HttpRequest, pk: str) -> HttpResponse:
        """Answer 200 with what the reseller reads, as Markdown."""
        return markdown(representations.text_of_config(self.get_object()))


urlpatterns = [
    *queue_routes("tier/config-requests", TierConfigRequests),
    *routes("tier/configs", TierConfigs),
]
