"""The usage file queue as data: statuses, types, actions, and who may take them.

From CloudBlue's published state machine and the verbs of its OpenAPI document; docs/fidelity.md
lists what is assumed.
"""

from requests_queue.catalog.actors import DISTRIBUTOR, SYSTEM, VENDOR
from requests_queue.queues.base import BAD, BUSY, DESTRUCTIVE, GOOD, PRIMARY, Queue, Status, action
from requests_queue.queues.usage_file import effects, inputs, samples
from requests_queue.queues.usage_file.models import UsageFile

STATUSES = (
    Status("draft"),
    Status("uploading", BUSY),
    Status("uploaded", GOOD),
    Status("invalid", BAD),
    Status("processing", BUSY),
    Status("ready", GOOD),
    Status("rejected", BAD),
    Status("pending", BUSY),
    Status("accepted", GOOD),
    Status("closed", GOOD, final=True),
    Status("deleted", final=True),
)

QUEUE = Queue(
    object_class="usage_file",
    title="Usage files",
    model=UsageFile,
    statuses=STATUSES,
    types=(),
    actions=(
        action(
            "upload", "draft invalid ready uploaded rejected", "uploading", VENDOR,
            prepare=effects.upload, effect=effects.store_upload,
        ),
        action("process", "uploading", "processing", SYSTEM, prepare=effects.by_worker),
        # Or "uploaded", where SIM_USAGE_PROCESSED says so.
        action("ready", "processing", "ready", SYSTEM, prepare=effects.processed),
        action("invalidate", "processing", "invalid", SYSTEM, prepare=effects.by_worker),
        action(
            "submit", "ready uploaded", "pending", VENDOR,
            prepare=effects.submit, effect=effects.offer_records, emphasis=PRIMARY,
        ),
        action(
            "accept", "pending", "accepted", DISTRIBUTOR,
            body=inputs.AcceptInput(),
            prepare=effects.accept, effect=effects.approve_records, emphasis=PRIMARY,
        ),
        action(
            "reject", "pending", "rejected", DISTRIBUTOR,
            body=inputs.RejectInput(),
            prepare=effects.reject, effect=effects.reject_records,
        ),
        action(
            "close", "accepted", "closed", DISTRIBUTOR,
            prepare=effects.close, effect=effects.close_records,
        ),
        action(
            "delete", "draft invalid ready uploaded", "deleted", VENDOR,
            prepare=effects.delete, effect=effects.forget, emphasis=DESTRUCTIVE,
        ),
        # The vendor's: the same upload is read again, for subscriptions that were missing.
        action(
            "reprocess", "invalid ready uploaded", "processing", VENDOR,
            prepare=effects.process_again, effect=effects.tell_workers,
        ),
        # The distributor's: the processed file is written again, its records having been closed.
        action(
            "reprocess", "pending", "pending", DISTRIBUTOR,
            prepare=effects.rewrite, effect=effects.tell_workers,
        ),
        action(
            "reprocess", "accepted", "accepted", DISTRIBUTOR,
            prepare=effects.rewrite, effect=effects.tell_workers,
        ),
        action(
            "reconciliation", "accepted", "accepted", DISTRIBUTOR,
            prepare=effects.reconcile, effect=effects.store_reconciliation, label="Reconcile",
        ),
    ),
    sample=samples.make,
)  # fmt: skip
