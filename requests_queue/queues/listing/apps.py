"""The listing queue's Django app."""

from requests_queue.queues import app


class ListingConfig(app.QueueApp):
    """`/listing-requests`, object class `listing_request`."""

    name = "requests_queue.queues.listing"
    verbose_name = "Listing queue"
