"""The signals of webhooks, sent in the transaction of what they report unless stated otherwise.

Receivers are in apps above this one; senders build the arguments only if there are receivers.
"""

from django.dispatch import Signal

# Events were recorded for webhooks.  events: list of webhooks.delivery.fan_out.RecordedEvent
events_recorded = Signal()

# Deliveries are about to be claimed: sent before the transaction.
claiming_deliveries = Signal()

# Deliveries were claimed: their requests start after the commit.
# claims: list of webhooks.delivery.claim.Claim
attempts_started = Signal()

# Finished attempts are about to be recorded: sent before the transaction, and again before another
# try.
recording_attempts = Signal()

# Finished attempts were recorded.
# attempts: list of webhooks.delivery.attempt.RecordedAttempt
attempts_recorded = Signal()

# The first byte of a delivery's request is about to be sent, in the engine's loop; only for
# deliveries whose due time is known. Sent for each request: the sender, Claim, allows to
# cache the receivers.  claim: webhooks.delivery.claim.Claim
request_sent = Signal(use_caching=True)

# A flush could not store something.  error: the exception
flush_failed = Signal()

# An engine is woken.  kind: one of webhooks.delivery.wakeup.KINDS
engine_woken = Signal()
