"""The usage files' Django app."""

from django.apps import AppConfig


class UsageFileConfig(AppConfig):
    """`/usage/files`, object class `usage_file`."""

    name = "requests_queue.queues.usage_file"
    label = "usage_file"
    verbose_name = "Usage files"

    def ready(self) -> None:
        """Register the queue, and listen to what its due moments are asked by."""
        from requests_queue.queues import base
        from requests_queue.queues.usage_file import due, rules  # noqa: F401  (due connects)

        base.register(rules.QUEUE)
