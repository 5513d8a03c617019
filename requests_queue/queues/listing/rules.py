"""The listing queue as data: statuses, types, actions, and who may take them.

From CloudBlue's published state machine and the verbs of its OpenAPI document; docs/fidelity.md
lists what is assumed.
"""

from requests_queue.catalog.actors import DISTRIBUTOR, VENDOR
from requests_queue.queues.base import BAD, GOOD, PRIMARY, WAIT, Queue, Status, action
from requests_queue.queues.listing import effects, samples
from requests_queue.queues.listing.models import ListingRequest

STATUSES = (
    Status("draft"),
    Status("reviewing", WAIT),
    Status("deploying", WAIT),
    Status("completed", GOOD, final=True),
    Status("canceled", BAD, final=True),
)

QUEUE = Queue(
    object_class="listing_request",
    title="Listing requests",
    model=ListingRequest,
    prefixes=("LSTR",),
    searched="ID, listing or marketplace",
    statuses=STATUSES,
    # The first is the default of samples: it is about a product that is listed.
    types=("update", "new", "remove"),
    actions=(
        action(
            "submit",
            "draft",
            "reviewing",
            VENDOR,
            prepare=effects.submit,
            emphasis=PRIMARY,
        ),
        action("refine", "reviewing deploying", "draft", DISTRIBUTOR, prepare=effects.take),
        action(
            "deploy",
            "reviewing",
            "deploying",
            DISTRIBUTOR,
            prepare=effects.take,
            emphasis=PRIMARY,
        ),
        action(
            "complete",
            "deploying",
            "completed",
            DISTRIBUTOR,
            prepare=effects.take,
            effect=effects.complete,
            emphasis=PRIMARY,
        ),
        action("cancel", "draft", "canceled", VENDOR, prepare=effects.take),
        action("cancel", "reviewing deploying", "canceled", DISTRIBUTOR, prepare=effects.take),
    ),
    sample=samples.create_sample,
    preview=samples.build_preview,
)
