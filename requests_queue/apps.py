"""The room of the queues; knows no listener of its signals."""

from django.apps import AppConfig


class RequestsQueueConfig(AppConfig):
    """Connect's platform under the webhooks."""

    name = "requests_queue"
    verbose_name = "Platform"
