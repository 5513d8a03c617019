"""The listing queue as data: states, types, and who may move what from where to where.

From CloudBlue's published state machine and the verbs of its OpenAPI document; what is assumed
stands in docs/fidelity.md.
"""

from requests_queue.catalog.actors import DISTRIBUTOR, VENDOR
from requests_queue.queues.base import Action, Queue
from requests_queue.queues.listing import effects, previews, samples
from requests_queue.queues.listing.models import ListingRequest

TYPES = ("new", "update", "remove")
STATES = ("draft", "reviewing", "deploying", "completed", "canceled")


def _move(name: str, source: str, target: str, who: str, **more: object) -> Action:
    return Action(
        name,
        frozenset(source.split()),
        target,
        frozenset({who}),
        **{"prepare": effects.take, **more},  # type: ignore[arg-type]
    )


QUEUE = Queue(
    object_class="listing_request",
    title="Listing requests",
    model=ListingRequest,
    statuses=STATES,
    final=frozenset({"completed", "canceled"}),
    types=TYPES,
    actions=(
        _move("submit", "draft", "reviewing", VENDOR, prepare=effects.submit),
        _move("refine", "reviewing deploying", "draft", DISTRIBUTOR),
        _move("deploy", "reviewing", "deploying", DISTRIBUTOR),
        _move("complete", "deploying", "completed", DISTRIBUTOR, effect=effects.complete),
        _move("cancel", "reviewing deploying", "canceled", DISTRIBUTOR),
    ),
    sample=samples.make,
    preview=previews.build_preview,
)
