"""The usage files as data: statuses, and who may move what from where to where.

From CloudBlue's published state machine and the verbs of its OpenAPI document; what is assumed
stands in docs/fidelity.md.
"""

from requests_queue.catalog.actors import DISTRIBUTOR, SYSTEM, VENDOR
from requests_queue.queues.base import Action, Queue
from requests_queue.queues.usage_file import effects, samples
from requests_queue.queues.usage_file.models import UsageFile

STATUSES = (
    "draft",
    "uploading",
    "uploaded",
    "invalid",
    "processing",
    "ready",
    "rejected",
    "pending",
    "accepted",
    "closed",
    "deleted",
)


def _move(name: str, source: str, target: str, who: str, **more: object) -> Action:
    return Action(
        name,
        frozenset(source.split()),
        target,
        frozenset({who}),
        **more,  # type: ignore[arg-type]
    )


QUEUE = Queue(
    object_class="usage_file",
    title="Usage files",
    model=UsageFile,
    statuses=STATUSES,
    final=frozenset({"closed", "deleted"}),
    types=(),
    actions=(
        _move(
            "upload", "draft invalid ready uploaded rejected", "uploading", VENDOR,
            prepare=effects.upload, effect=effects.store_upload,
        ),
        _move("process", "uploading", "processing", SYSTEM, prepare=effects.by_worker),
        # Or "uploaded", where SIM_USAGE_PROCESSED says so.
        _move("ready", "processing", "ready", SYSTEM, prepare=effects.processed),
        _move("invalidate", "processing", "invalid", SYSTEM, prepare=effects.by_worker),
        _move(
            "submit", "ready uploaded", "pending", VENDOR,
            prepare=effects.submit, effect=effects.offer_records,
        ),
        _move(
            "accept", "pending", "accepted", DISTRIBUTOR,
            prepare=effects.accept, effect=effects.approve_records,
        ),
        _move(
            "reject", "pending", "rejected", DISTRIBUTOR,
            prepare=effects.reject, effect=effects.reject_records,
        ),
        _move(
            "close", "accepted", "closed", DISTRIBUTOR,
            prepare=effects.close, effect=effects.close_records,
        ),
        _move(
            "delete", "draft invalid ready uploaded", "deleted", VENDOR,
            prepare=effects.delete, effect=effects.forget,
        ),
        # The vendor's: the same upload is read again, for subscriptions that were missing.
        _move(
            "reprocess", "invalid ready uploaded", "processing", VENDOR,
            prepare=effects.process_again, effect=effects.tell_workers,
        ),
        # The distributor's: the processed file is written again, its records having been closed.
        _move(
            "reprocess", "pending", "pending", DISTRIBUTOR,
            prepare=effects.rewrite, effect=effects.tell_workers,
        ),
        _move(
            "reprocess", "accepted", "accepted", DISTRIBUTOR,
            prepare=effects.rewrite, effect=effects.tell_workers,
        ),
        _move(
            "reconciliation", "accepted", "accepted", DISTRIBUTOR,
            prepare=effects.reconcile, effect=effects.store_reconciliation,
        ),
    ),
    sample=samples.make,
)  # fmt: skip
