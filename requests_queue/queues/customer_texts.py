"""Texts that the inquiring form shows for requests that can't be answered, by status (ours)."""

from requests_queue.queues.base import BAD, GOOD, CustomerText

DRAFT = CustomerText(
    "This request has not been sent yet",
    "There is nothing to answer here yet.",
)
TIERS_SETUP = CustomerText(
    "The resellers are being set up first",
    "The request is processed once the resellers involved are set up. There is nothing to answer "
    "here now.",
)
PENDING = CustomerText(
    "Your answers have been sent",
    "{vendor} has your answers and is processing the request. You do not need to do anything; "
    "if more is needed, you will be asked again.",
    GOOD,
)
APPROVED = CustomerText(
    "This request is complete", "{vendor} has approved it. There is nothing left to answer.", GOOD
)
FAILED = CustomerText(
    "This request has failed",
    "It can no longer be answered. To start over, contact the sender of the link.",
    BAD,
    with_reason=True,
)
SCHEDULED = CustomerText(
    "This request is scheduled",
    "{vendor} has everything it needs and will process the request on the planned date.",
)
REVOKING = CustomerText(
    "This request is being revoked",
    "It was scheduled, and a cancellation has been requested.",
    with_reason=True,
)
REVOKED = CustomerText(
    "This request was revoked",
    "It will not be processed, and there is nothing left to answer.",
    with_reason=True,
)
OTHER = CustomerText("There is nothing to answer", "")
