"""Publication of the Celery task that processes a file.

A lost message is no problem: `due.py` publishes the task again when the lease expires. So an
unreachable broker neither delays nor fails a request.
"""

from __future__ import annotations

import logging

from requests_queue import task_messages

logger = logging.getLogger(__name__)

TASK = "requests_queue.queues.usage_file.tasks.process"


def publish(pk: str) -> None:
    """Publish the task, without retries."""
    try:
        task_messages.send(TASK, pk)
    except task_messages.unavailable() as error:
        logger.warning(
            "The broker is unreachable (%s). %s will be processed later.", type(error).__name__, pk
        )
