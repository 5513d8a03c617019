"""A realistic object of any queue: what `queue add` and the sandbox's endpoint make."""

from __future__ import annotations

from django.db import transaction

from requests_queue.catalog.models import Product
from requests_queue.errors import Invalid, Missing
from requests_queue.queues import base


@transaction.atomic
def make(name: str, kind: str | None = None, product_id: str | None = None) -> base.QueueObject:
    """Make an object of the queue `name` (its object class, or short), of a type and a product.

    Without a type it is the queue's first, without a product one that fits. All or nothing.
    Raises Invalid, Missing, or what the queue refuses.
    """
    queue = base.named(name)
    if queue is None or queue.sample is None:
        known = ", ".join(q.object_class for q in base.registered() if q.sample)
        raise Invalid(f"queue: There is no queue {name}; there are {known}.")
    product = None
    if product_id:
        product = Product.objects.filter(pk=product_id).first()
        if product is None:
            raise Missing(product_id)
    default = queue.types[0] if queue.types else ""
    return queue.sample(kind or default, product)
