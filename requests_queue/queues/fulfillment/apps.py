"""The Django app of the fulfillment queue."""

from requests_queue.queues import app


class FulfillmentConfig(app.QueueApp):
    """`/requests`, object class `fulfillment_request`."""

    name = "requests_queue.queues.fulfillment"
    verbose_name = "Fulfillment queue"
