"""`/listing-requests` and `/listings`: what Connect serves of the listing queue."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, OuterRef, Prefetch, QuerySet, Subquery
from rest_framework.request import Request as HttpRequest
from rest_framework.response import Response

from requests_queue import clock, topics
from requests_queue.api.fields import Choice, Input
from requests_queue.api.schema import Documented
from requests_queue.catalog import visibility
from requests_queue.catalog.actors import DISTRIBUTOR
from requests_queue.catalog.models import Listing
from requests_queue.catalog.rest import Collection, routes
from requests_queue.errors import Forbidden
from requests_queue.queues.api import QueueCollection, queue_routes
from requests_queue.queues.listing import creation, rules
from requests_queue.queues.listing.models import OPEN, ListingRequest
from requests_queue.queues.listing.representations import LISTING, LISTING_REQUEST
from requests_queue.queues.services import Service


def _open(route: str) -> Prefetch[Any]:
    rows = ListingRequest.objects.filter(status__in=OPEN)
    return Prefetch(route, rows, to_attr="open_requests")


def _complete(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return requests, each listing with its open request."""
    related = LISTING_REQUEST.related
    return rows.select_related(*related).prefetch_related(_open("listing__requests"))


class ListingRequests(QueueCollection):
    """`/listing-requests`: the listing queue, for both parties."""

    documented = Documented("Listings", "listing request", LISTING_REQUEST)
    bodies = {"create": creation.BODY}
    queue = rules.QUEUE
    service = Service(
        complete=_complete, represent=LISTING_REQUEST.represent, create=creation.create
    )
    # The document's call has no body.
    assigns_caller = True

    def destroy(self, request: HttpRequest, pk: str) -> Response:
        """Delete a draft: 204; 400 where it is none, 403 for the distributor."""
        self.check_visible(pk)
        creation.delete_draft(pk, self.actor)
        return Response(status=204)


class ListingUpdate(Input):
    """What the distributor changes of a listing."""

    status = Choice(("listed", "unlisted"))


class Listings(Collection):
    """`/listings`, for both sides: those under the caller's contracts."""

    documented = Documented("Listings", "listing", LISTING)
    bodies = {"update": ListingUpdate()}

    def visible(self) -> QuerySet[Listing]:
        """Return the listings, each with what is pending about it to filter by."""
        pending = ListingRequest.objects.filter(listing=OuterRef("pk"), status__in=OPEN)
        rows: QuerySet[Listing] = visibility.listings(self.account).alias(
            pending_id=Subquery(pending.values("pk")[:1]),
            pending_type=Subquery(pending.values("type")[:1]),
            pending_status=Subquery(pending.values("status")[:1]),
            pending_is_null=~Exists(pending),
        )
        return rows

    def complete(self, rows: QuerySet[Listing]) -> QuerySet[Listing]:
        """Return the listings, each with what is pending about it to show."""
        return super().complete(rows).prefetch_related(_open("requests"))

    def update(self, request: HttpRequest, pk: str) -> Response:
        """Change the status, which is the distributor's: 200; all else of a body is read-only."""
        row = self.get_object()
        wanted = self.body.get("status", row.status)
        if wanted != row.status:
            if self.actor.role != DISTRIBUTOR:
                raise Forbidden("The status of a listing is the distributor's to change.")
            at = clock.shown(clock.now())
            Listing.objects.filter(pk=pk).update(status=wanted, updated=at)
            topics.announce(None, topics.OBJECTS)
        return self.answer(self.get_object())


urlpatterns = [
    *queue_routes("listing-requests", ListingRequests),
    *routes("listings", Listings),
]
