"""The Django app of the tier configuration queue."""

from requests_queue.queues import app


class TierConfigConfig(app.QueueApp):
    """`/tier/config-requests` and `/tier/configs`, object class `tier_config_request`."""

    name = "requests_queue.queues.tier_config"
    verbose_name = "Tier configuration queue"
