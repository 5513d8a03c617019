"""`/sandbox/status`: the version, the clock, and how each webhook does."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import NamedTuple

from django.conf import settings
from django.db.models import Count
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from requests_queue.api.resources import Field, Many, Part
from requests_queue.api.schema import Untrusted
from requests_queue.redaction import Redaction
from sandbox.api.schema import NoQuery, Operation, Operations
from sandbox.api.world import CLOCK, ShownClock
from sandbox.clock import moves, settling
from sandbox.faults import armed
from sandbox.timeline import api_calls, timeline
from sandbox.timeline.timeline import CursorText, Moment, moment
from webhooks import next_attempt
from webhooks.http.headers import secret_values
from webhooks.models import Delivery, Webhook
from webhooks.next_attempt import NextAttempt, WorkerLoad

WEBHOOKS = 100  # that a response has; of more, the newest


class ShownWebhook(NamedTuple):
    """A webhook with `pending` deliveries, and its next attempt."""

    row: Webhook
    pending: int
    next: NextAttempt

    @property
    def url(self) -> str:
        """Return the URL without secrets of the webhook, which some repeat there."""
        secrets = [self.row.jwt_secret, *secret_values(self.row.headers)]
        return Redaction(secrets).text(self.row.external_url)


class Status(NamedTuple):
    """The sandbox now."""

    version: str
    cursor: str
    clock: ShownClock
    faults: int
    webhooks: Sequence[ShownWebhook]
    left_out: int


STATUS = Part(
    "Status",
    "The sandbox now; `cursor` is that of the present, `faults` how many are armed.",
    {
        "version": str,
        "cursor": CursorText,
        "clock": Field(CLOCK),
        "faults": int,
        "webhooks": Many(
            Part(
                "WebhookStatus",
                "A webhook, how many of its deliveries are pending, and its next attempt.",
                {
                    "id": Field(str, "row.pk"),
                    "label": Field(Untrusted, "row.label"),
                    "url": Untrusted,
                    "type": Field(str, "row.type"),
                    "object_class": Field(str, "row.object_class"),
                    "product": Field(str, "row.product_id"),
                    "account": Field(str, "row.account_id"),
                    "active": Field(bool, "row.active"),
                    "out_of_order": Field(bool, "row.out_of_order"),
                    "pending": int,
                    "next_attempt_at": moment("next.moment", Moment | None),
                    "reason": Field(str, "next.why"),
                },
            ),
            attrgetter("webhooks"),
        ),
        "webhooks_left_out": Field(int, "left_out"),
    },
)


class StatusView(APIView):
    """`GET /sandbox/status`."""

    operations: Operations = {"get": Operation("Status", "Show the status", STATUS)}

    def get(self, request: Request) -> Response:
        """Return the version, the clock, and the webhooks of all accounts, the newest first."""
        NoQuery().check_query(request.query_params)
        api_calls.flush()
        state, load = moves.clock_state(), WorkerLoad()
        unfinished = Delivery.objects.filter(state__in=(Delivery.WAITING, Delivery.CALLING))
        counted = unfinished.order_by().values_list("webhook").annotate(Count("pk"))
        pending, rows = dict(counted), Webhook.objects.order_by("-created_at", "-pk")
        webhooks = [
            ShownWebhook(
                row,
                count := pending.get(row.pk, 0),
                next_attempt.of_webhook(row, state.now, pending=count, load=load),
            )
            for row in rows[:WEBHOOKS]
        ]
        status = Status(
            settings.VERSION,
            str(timeline.now()),
            ShownClock(state, settling.waiting_for(state.now)),
            armed.rows().count(),
            webhooks,
            max(0, rows.count() - WEBHOOKS),
        )
        return Response(STATUS.represent(status))


urlpatterns = [path("status", StatusView.as_view())]
