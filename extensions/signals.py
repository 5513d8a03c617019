"""The signals of extensions."""

from django.dispatch import Signal

# Tasks were claimed, or their results recorded, in that transaction.
# runs: list of extensions.models.Run
tasks_started = Signal()
tasks_finished = Signal()

# Tasks may be due: runners are sent what is.
wake = Signal()

# The variables of an environment have changed: its runners are sent the new ones.
# environment: its id
configured = Signal()
