"""The fulfillment queue's Django app."""

from django.apps import AppConfig


class FulfillmentConfig(AppConfig):
    """`/requests`, object class `fulfillment_request`."""

    name = "requests_queue.queues.fulfillment"
    label = "fulfillment"
    verbose_name = "Fulfillment queue"

    def ready(self) -> None:
        """Register the queue, and listen to what its due moments are asked by."""
        from requests_queue.queues import base
        from requests_queue.queues.fulfillment import due, rules  # noqa: F401  (due connects)

        base.register(rules.QUEUE)
