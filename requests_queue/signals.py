"""What the platform tells whoever listens; it knows no listener."""

from django.dispatch import Signal

# Sent in the transaction of the change, once per change.
# change: requests_queue.transitions.Change
queue_changed = Signal()

# Sent at the end of a transaction with changes, before it commits, once.
# changes: a tuple of requests_queue.transitions.Change, in order
changes_made = Signal()

# Sent in the transaction in which an object of a queue is deleted; its id may be used again.
# object_id: str
object_deleted = Signal()

# Sent where an object is to be validated, outside any transaction: whoever calls handlers makes
# the calls while the sender waits, and answers with a list of what `wanted.read` made of each
# answer.  wanted: requests_queue.queues.validation.Wanted.  Raises Refused (VAL_100) where a
# handler is down, slow or wrong.
validation_requested = Signal()

# The three that follow are sent by `requests_queue.jobs`, which keeps a receiver that fails from
# stopping the others.

# Sent to ask each room for its next due moment after `now` (a datetime or None back).
# Sandbox time steps from one to the next.  kwargs: now
collect_next_due = Signal()

# Sent when the platform's time stands at a due moment and what is due shall run.  kwargs: now
due_reached = Signal()

# Sent to ask each room what is due or under way; a room that is not at rest also sees to it
# that its work goes on.  kwargs: now.  Answers: a set of labels, empty at rest.
collect_busy = Signal()

# Sent in the transaction in which an order starts, before its status is written.  Whoever has
# something to set up first answers True: the order is then born in tiers_setup, and goes on by
# `release` or `fail`, which are for the platform.  kwargs: asset (a catalog Asset), now
before_order_start = Signal()
