"""The signals of the platform. Receivers are in other apps; nothing here imports them."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.dispatch import Signal

T = TypeVar("T", bound=Callable[..., Any])


class JobSignal:
    """A signal whose receivers `requests_queue.jobs` calls one by one, each in isolation."""

    def __init__(self) -> None:
        self.receivers: list[Callable[..., Any]] = []

    def connect(self, receiver: T) -> T:
        """Call the receiver from now on; also a decorator."""
        self.receivers.append(receiver)
        return receiver

    def disconnect(self, receiver: Callable[..., Any]) -> None:
        """Call the receiver no more."""
        self.receivers.remove(receiver)


# Sent once per change, in its transaction.
# change: requests_queue.queues.transitions.Change
queue_changed = Signal()

# Sent once per transaction with changes, before it commits.
# changes: a tuple of requests_queue.queues.transitions.Change, in order
changes_made = Signal()

# Sent in a transaction that changes a queue, wakes the engine or posts a message, before that is
# reported; more than once if it does several of them. Receivers store the cause, such as the API
# call, so that its entry precedes those of its effects.
storing_changes = Signal()

# Sent in the transaction in which an object of a queue is deleted; its id may be used again.
# object_id: str
object_deleted = Signal()

# Sent in the transaction in which a product is created, published, or gets another status.
# product: a catalog Product
product_changed = Signal()

# Sent in the transaction in which the chunks of a usage file are created, or records closed, with
# which a chunk may be.  file: a UsageFile, at: the time of the change
usage_chunks_created = Signal()
usage_records_closed = Signal()

# Sent outside a transaction when an object is to be validated. The receiver sends the requests to
# the handlers while the sender waits, and returns a list of what `request.read` returned for each
# response.  request: requests_queue.queues.validation.ValidationRequest.  Raises Refused (VAL_100)
# if a handler is down, slow or wrong.
validation_requested = Signal()

# Receivers return their next due moment after `now`, or None. The sandbox moves platform time
# from one to the next.  kwargs: now
collect_next_due = JobSignal()

# The same, for work that something has set off and that ends, such as pending deliveries. The
# moments of `collect_next_due` recur or are planned, such as billing periods.  kwargs: now
collect_next_work = JobSignal()

# Sent when platform time has reached a due moment: receivers run what is due.  kwargs: now
due_reached = JobSignal()

# Receivers return labels of work that is due or running, an empty set if there is none, and make
# sure that the work continues.  kwargs: now
collect_busy = JobSignal()

# Sent in the transaction in which an order starts, before its status is written.  A receiver that
# has something to set up first returns True: the order is then created in tiers_setup, until the
# platform's `release` or `fail`.  kwargs: asset (a catalog Asset), now
before_order_start = Signal()
