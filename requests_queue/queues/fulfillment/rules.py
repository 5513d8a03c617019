"""The fulfillment queue as data: statuses, types, actions, and who may take them.

From CloudBlue's published state machine and the verbs of its OpenAPI document; docs/fidelity.md
lists what is assumed.
"""

from functools import partial

from requests_queue.catalog.actors import DISTRIBUTOR, SYSTEM, VENDOR
from requests_queue.catalog.inputs import ReasonInput
from requests_queue.queues import customer_texts, inquiries
from requests_queue.queues.base import (
    BAD,
    BUSY,
    DESTRUCTIVE,
    GOOD,
    PRIMARY,
    WAIT,
    Queue,
    Status,
    action,
)
from requests_queue.queues.fulfillment import effects, inputs, samples
from requests_queue.queues.fulfillment.models import Request
from requests_queue.queues.fulfillment.request_types import TYPES

STATUSES = (
    Status("draft", customer=customer_texts.DRAFT),
    Status(
        "tiers_setup",
        BUSY,
        customer=customer_texts.TIERS_SETUP,
        waits_for="the setup of its resellers",
    ),
    Status("pending", WAIT, customer=customer_texts.PENDING),
    Status("inquiring", WAIT, waits_for="the customer's answers"),
    Status("approved", GOOD, final=True, customer=customer_texts.APPROVED),
    Status("failed", BAD, final=True, customer=customer_texts.FAILED),
    Status("scheduled", customer=customer_texts.SCHEDULED, waits_for="its planned date"),
    Status("revoking", WAIT, customer=customer_texts.REVOKING),
    Status("revoked", BAD, final=True, customer=customer_texts.REVOKED),
)

QUEUE = Queue(
    object_class="fulfillment_request",
    title="Fulfillment requests",
    model=Request,
    prefixes=("PR",),
    searched="ID, subscription or customer",
    sample=samples.create_sample,
    draft_sample=partial(samples.create_sample, draft=True),
    preview=samples.build_preview,
    statuses=STATUSES,
    types=TYPES,
    actions=(
        action(
            "purchase",
            "draft",
            "pending",
            DISTRIBUTOR,
            types=frozenset({"purchase"}),
            outcomes="tiers_setup inquiring",
            prepare=effects.leave_draft,
            effect=effects.start,
            emphasis=PRIMARY,
        ),
        action(
            "submit",
            "draft",
            "pending",
            DISTRIBUTOR,
            types=frozenset(TYPES) - {"purchase"},
            outcomes="tiers_setup inquiring",
            prepare=effects.leave_draft,
            effect=effects.start,
            emphasis=PRIMARY,
        ),
        action(
            "release",
            "tiers_setup",
            "pending",
            SYSTEM,
            outcomes="inquiring",
            prepare=effects.release,
            effect=effects.start,
        ),
        action(
            "inquire",
            "pending",
            "inquiring",
            VENDOR,
            prepare=effects.inquire,
            body=inputs.InquireInput(),
        ),
        action(
            "pend",
            "inquiring",
            "pending",
            VENDOR,
            DISTRIBUTOR,
            prepare=effects.answer,
            body=inputs.PendInput(),
        ),
        action("pend", "scheduled", "pending", VENDOR, SYSTEM, prepare=effects.unschedule),
        action(
            "approve",
            "pending",
            "approved",
            VENDOR,
            body=inputs.ApproveInput(),
            prepare=effects.approve,
            effect=effects.hand_over,
            emphasis=PRIMARY,
        ),
        action(
            "fail",
            "pending inquiring",
            "failed",
            VENDOR,
            DISTRIBUTOR,
            body=ReasonInput(),
            prepare=inquiries.reason,
            effect=effects.give_back,
        ),
        action(
            "fail",
            "tiers_setup",
            "failed",
            SYSTEM,
            body=ReasonInput(),
            prepare=inquiries.reason,
            effect=effects.give_back,
        ),
        action(
            "schedule",
            "pending",
            "scheduled",
            VENDOR,
            prepare=effects.schedule,
            body=inputs.ScheduleInput(),
        ),
        action(
            "revoke",
            "scheduled",
            "revoking",
            DISTRIBUTOR,
            body=ReasonInput(),
            prepare=inquiries.reason,
            emphasis=DESTRUCTIVE,
        ),
        action(
            "confirm",
            "revoking",
            "revoked",
            VENDOR,
            effect=effects.give_back,
            emphasis=PRIMARY,
        ),
    ),
)
