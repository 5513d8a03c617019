"""The billing queue as data: two types, and no status that anybody could move."""

from requests_queue.queues.base import Queue
from requests_queue.queues.billing import creation, samples
from requests_queue.queues.billing.models import BillingRequest

QUEUE = Queue(
    object_class="billing_request",
    title="Billing requests",
    model=BillingRequest,
    prefixes=("BRP", "BRV"),
    searched="ID, subscription or customer",
    statuses=(),
    types=creation.TYPES,
    actions=(),
    sample=samples.create_sample,
    preview=samples.build_preview,
)
