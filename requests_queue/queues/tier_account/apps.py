"""The tier account queue's Django app."""

from requests_queue.queues import app


class TierAccountConfig(app.QueueApp):
    """`/tier/account-requests`, object class `tier_account_request`."""

    name = "requests_queue.queues.tier_account"
    verbose_name = "Tier account queue"
