"""The helpdesk queue's Django app."""

from requests_queue.queues import app


class HelpdeskConfig(app.QueueApp):
    """`/helpdesk/cases`, object class `helpdesk_case`."""

    name = "requests_queue.queues.helpdesk"
    verbose_name = "Helpdesk queue"
