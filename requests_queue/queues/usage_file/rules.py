"""The declaration of the usage file queue.

Sources: CloudBlue's published state machine and the actions of its OpenAPI document;
docs/fidelity.md lists the assumptions.
"""

from requests_queue.catalog.actors import DISTRIBUTOR, SYSTEM, VENDOR
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
from requests_queue.queues.usage_file import effects, inputs, samples
from requests_queue.queues.usage_file.models import UsageFile

STATUSES = (
    Status("draft"),
    Status("uploading", BUSY, waits_for="the platform to read the upload"),
    Status("uploaded", GOOD),
    Status("invalid", BAD),
    Status("processing", BUSY, waits_for="the platform to process its records"),
    Status("ready", GOOD),
    Status("rejected", BAD),
    Status("pending", WAIT),
    Status("accepted", GOOD),
    Status("closed", GOOD, final=True),
    Status("deleted", final=True),
)

QUEUE = Queue(
    object_class="usage_file",
    title="Usage files",
    model=UsageFile,
    prefixes=("UF",),
    searched="ID or name",
    statuses=STATUSES,
    types=(),
    actions=(
        action(
            "upload",
            "draft invalid rejected",
            "uploading",
            VENDOR,
            prepare=effects.upload,
            effect=effects.store_upload,
            emphasis=PRIMARY,
        ),
        action(
            "upload",
            "ready uploaded",
            "uploading",
            VENDOR,
            prepare=effects.upload,
            effect=effects.store_upload,
        ),
        action("process", "uploading", "processing", SYSTEM, prepare=effects.by_worker),
        # The assumption usage_processed chooses.
        action(
            "ready",
            "processing",
            "ready",
            SYSTEM,
            outcomes="uploaded",
            prepare=effects.processed,
        ),
        action("invalidate", "processing", "invalid", SYSTEM, prepare=effects.by_worker),
        action(
            "submit",
            "ready uploaded",
            "pending",
            VENDOR,
            prepare=effects.submit,
            effect=effects.offer_records,
            emphasis=PRIMARY,
        ),
        action(
            "accept",
            "pending",
            "accepted",
            DISTRIBUTOR,
            body=inputs.AcceptInput(),
            prepare=effects.accept,
            effect=effects.approve_records,
            emphasis=PRIMARY,
        ),
        action(
            "reject",
            "pending",
            "rejected",
            DISTRIBUTOR,
            body=inputs.RejectInput(),
            prepare=effects.reject,
            effect=effects.reject_records,
        ),
        action(
            "close",
            "accepted",
            "closed",
            DISTRIBUTOR,
            prepare=effects.close,
            effect=effects.close_records,
            emphasis=PRIMARY,
        ),
        action(
            "delete",
            "draft invalid ready uploaded",
            "deleted",
            VENDOR,
            prepare=effects.delete,
            effect=effects.delete_contents,
            emphasis=DESTRUCTIVE,
        ),
        # By the vendor: read the same upload again, once missing subscriptions exist.
        action(
            "reprocess",
            "invalid ready uploaded",
            "processing",
            VENDOR,
            prepare=effects.process_again,
            effect=effects.publish_task,
        ),
        # By the distributor: write the processed file again with the records' new statuses.
        action(
            "reprocess",
            "pending",
            "pending",
            DISTRIBUTOR,
            prepare=effects.rewrite,
            effect=effects.publish_task,
        ),
        action(
            "reprocess",
            "accepted",
            "accepted",
            DISTRIBUTOR,
            prepare=effects.rewrite,
            effect=effects.publish_task,
        ),
        action(
            "reconciliation",
            "accepted",
            "accepted",
            DISTRIBUTOR,
            outcomes="closed",
            prepare=effects.reconcile,
            effect=effects.store_reconciliation,
            label="Reconcile",
        ),
    ),
    sample=samples.create_sample,
)
