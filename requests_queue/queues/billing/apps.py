"""The Django app of the billing queue."""

from requests_queue.queues import app


class BillingConfig(app.QueueApp):
    """`/subscriptions/requests`, object class `billing_request`."""

    name = "requests_queue.queues.billing"
    verbose_name = "Billing queue"
