"""The helpdesk queue as data: states, types, actions, and who may take them.

From CloudBlue's published state machine and the texts of its OpenAPI document; docs/fidelity.md
lists what is assumed.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from requests_queue.catalog.actors import DISTRIBUTOR, SYSTEM, VENDOR
from requests_queue.queues.base import GOOD, PRIMARY, WAIT, Action, Queue, Status, action
from requests_queue.queues.helpdesk import effects, samples
from requests_queue.queues.helpdesk.models import TYPES, Case


def _move(name: str, source: str, target: str, **more: Any) -> Action:
    """Return an action of either party; `party` restricts it to one of a case."""
    prepare = partial(effects.enter, target)
    return action(name, source, target, VENDOR, DISTRIBUTOR, prepare=prepare, **more)


QUEUE = Queue(
    object_class="helpdesk_case",
    title="Helpdesk cases",
    model=Case,
    prefixes=("CA",),
    searched="ID or subject",
    statuses=(
        Status("pending", WAIT),
        Status("inquiring"),
        Status("resolved", GOOD),
        Status("closed", final=True),
    ),
    types=TYPES,
    # The primary action of a state is that of the party whose turn it is.
    actions=(
        _move("inquire", "pending", "inquiring", party="receiver"),
        _move("pend", "inquiring", "pending", party="issuer", emphasis=PRIMARY),
        _move("pend", "inquiring", "pending", party="receiver"),
        _move("resolve", "pending", "resolved", party="receiver", emphasis=PRIMARY),
        _move("resolve", "pending", "resolved", party="issuer"),
        # The platform closes what has been resolved for some time.
        action(
            "close",
            "resolved",
            "closed",
            VENDOR,
            DISTRIBUTOR,
            SYSTEM,
            party="issuer",
            body=effects.ClosingInput(),
            prepare=effects.close,
            emphasis=PRIMARY,
        ),
        _move("pend", "resolved", "pending"),
    ),
    sample=samples.create_sample,
    preview=samples.build_preview,
    # Connect has no webhook type for cases.
    has_webhooks=False,
    not_allowed="The action is not allowed for current status",
)
