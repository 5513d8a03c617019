"""The billing queue's Django app."""

from django.apps import AppConfig


class BillingConfig(AppConfig):
    """`/subscriptions/requests`, object class `billing_request`."""

    name = "requests_queue.queues.billing"
    label = "billing"
    verbose_name = "Billing queue"

    def ready(self) -> None:
        """Register the queue, and listen to what its due moments are asked by."""
        from requests_queue.queues import base
        from requests_queue.queues.billing import due, rules  # noqa: F401  (due connects)

        base.register(rules.QUEUE)
