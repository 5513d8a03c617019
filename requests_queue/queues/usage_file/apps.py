"""The Django app of usage files."""

from requests_queue.queues import app


class UsageFileConfig(app.QueueApp):
    """`/usage/files`, object class `usage_file`."""

    name = "requests_queue.queues.usage_file"
    verbose_name = "Usage files"
