"""The tier configuration queue as data: statuses, types, actions, and who may take them.

From CloudBlue's published state machine and the verbs of its OpenAPI document; docs/fidelity.md
lists what is assumed.
"""

from functools import partial

from requests_queue.catalog.actors import DISTRIBUTOR, SYSTEM, VENDOR
from requests_queue.queues import customer_texts, inquiries
from requests_queue.queues.base import BAD, BUSY, GOOD, PRIMARY, WAIT, Queue, Status, action
from requests_queue.queues.tier_config import effects, inputs, samples
from requests_queue.queues.tier_config.models import TierConfigRequest

QUEUE = Queue(
    object_class="tier_config_request",
    title="Tier configuration requests",
    model=TierConfigRequest,
    prefixes=("TCR",),
    searched="ID, configuration or account",
    statuses=(
        Status("draft", customer=customer_texts.DRAFT),
        Status(
            "tiers_setup",
            BUSY,
            customer=customer_texts.TIERS_SETUP,
            waits_for="the setup of the reseller above",
        ),
        Status("pending", WAIT, customer=customer_texts.PENDING),
        Status("inquiring", WAIT, waits_for="the reseller's answers"),
        Status("approved", GOOD, final=True, customer=customer_texts.APPROVED),
        Status("failed", BAD, final=True, customer=customer_texts.FAILED),
    ),
    types=inputs.TYPES,
    actions=(
        action(
            "submit",
            "draft",
            "pending",
            DISTRIBUTOR,
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
        ),
        action(
            "inquire",
            "pending",
            "inquiring",
            VENDOR,
            prepare=effects.inquire,
            body=inputs.InquireTierConfigInput(),
        ),
        action(
            "pend",
            "inquiring",
            "pending",
            VENDOR,
            DISTRIBUTOR,
            prepare=effects.answer,
            body=inputs.PendTierConfigInput(),
        ),
        action(
            "approve",
            "pending",
            "approved",
            VENDOR,
            body=inputs.ApproveTierConfigInput(),
            prepare=effects.approve,
            effect=effects.apply,
            emphasis=PRIMARY,
        ),
        action(
            "fail",
            "pending inquiring",
            "failed",
            VENDOR,
            DISTRIBUTOR,
            body=inputs.TierReasonInput(),
            prepare=inquiries.reason,
            effect=effects.give_up,
        ),
        action(
            "fail",
            "tiers_setup",
            "failed",
            VENDOR,
            DISTRIBUTOR,
            SYSTEM,
            body=inputs.TierReasonInput(),
            prepare=inquiries.reason,
            effect=effects.give_up,
        ),
    ),
    sample=samples.create_sample,
    draft_sample=partial(samples.create_sample, draft=True),
    preview=samples.build_preview,
)
