"""The signals of extensions."""

from django.dispatch import Signal

# Tasks were recorded, in the transaction of what caused them.
# tasks: list of extensions.models.Task, some without a primary key
tasks_recorded = Signal()

# Tasks were claimed, or their results recorded, in that transaction.
# runs: list of extensions.models.Run
tasks_started = Signal()
tasks_finished = Signal()

# Tasks may be due: runners are sent what is.
wake = Signal()

# The variables of an environment have changed: its runners are told.
# environment: its id
configured = Signal()
