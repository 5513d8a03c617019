"""The listing queue's Django app."""

from django.apps import AppConfig


class ListingConfig(AppConfig):
    """`/listing-requests`, object class `listing_request`."""

    name = "requests_queue.queues.listing"
    label = "listing"
    verbose_name = "Listing queue"

    def ready(self) -> None:
        """Register the queue."""
        from requests_queue.queues import base
        from requests_queue.queues.listing import rules

        base.register(rules.QUEUE)
