"""Sample objects of any queue, for `queue add` and the sandbox's endpoint; products of samples."""

from __future__ import annotations

from django.db import transaction

from requests_queue.catalog import visibility
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Account, Listing, Product
from requests_queue.catalog.writes import products
from requests_queue.db.rows import get_row
from requests_queue.errors import Forbidden, Invalid
from requests_queue.queues import base, transitions
from requests_queue.suggestions import did_you_mean


@transitions.atomic()
def make(
    name: str, kind: str | None, product_id: str | None, account: Account, *, draft: bool = False
) -> base.QueueObject:
    """Create a sample of the queue `name` (its object class or app), of a type and a product.

    Defaults to the queue's first type and a product that fits. The account is a party to it. A
    draft can be validated. Atomic.
    Raises Invalid, Missing, Forbidden (the account could not see the object), or what the queue
    raises.
    """
    queue = base.find_queue(name)
    if queue is None or queue.sample is None:
        known = [q.object_class for q in base.registered() if q.sample]
        text = f"There is no queue {name}; there are {', '.join(known)}."
        names = [q.model._meta.app_label for q in base.registered() if q.sample]
        raise Invalid("queue", text + did_you_mean(name, [*known, *names]))
    sample = queue.draft_sample if draft else queue.sample
    if sample is None:
        drafts = " and ".join(q.object_class for q in base.registered() if q.draft_sample)
        raise Invalid(
            "draft", f"A {queue.object_class} is never validated as a draft; {drafts} are."
        )
    product: Product | None = None
    if product_id:
        product = get_row(visibility.products(account), product_id)
    kind = kind or (queue.types[0] if queue.types else "")
    row = sample(kind, product, account)
    if not queue.model.visible_to(account).filter(pk=row.pk).exists():
        role = Actor(None, account).role
        raise Forbidden(f"A {queue.object_class} of type {kind} is not for a {role}.")
    return row


@transaction.atomic
def delete_product(product: Product, account: Account) -> None:
    """Delete a product that was never sold, such as a sample's, with its listings and objects.

    Of any status: Connect deletes drafts only. Raises Forbidden (not its vendor), or Refused where
    something else is about it.
    """
    if product.owner_id != account.pk:
        raise Forbidden("A product is deleted by its vendor.")
    row = products.lock(product, whole=True)
    models = [queue.model for queue in base.registered()]
    products.refuse_in_use(row, "of it", (*products.PARTS, *models, Listing))
    for model in models:
        for each in model._default_manager.filter(product=row):
            transitions.delete(each)
    row.delete()
