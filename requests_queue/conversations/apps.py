"""The Django app of conversations."""

from django.apps import AppConfig


class ConversationsConfig(AppConfig):
    """`/conversations`."""

    name = "requests_queue.conversations"
    label = "conversations"
    verbose_name = "Conversations"

    def ready(self) -> None:
        """Connect the receivers of the queues' signals."""
        from requests_queue.conversations import writing  # noqa: F401  (connects on import)
