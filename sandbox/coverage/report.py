"""The report on what has happened in this sandbox."""

from __future__ import annotations

from typing import Any

from requests_queue.catalog.models import Product
from requests_queue.errors import Missing
from sandbox.coverage import cases, happened, possible, recipes, stubs, summary
from sandbox.coverage.cases import Case
from sandbox.timeline import api_calls, timeline
from sandbox.timeline.timeline import Cursor

Json = dict[str, Any]


def make(since: Cursor, product: str, language: str) -> Json:
    """Return the report on what has happened since a cursor; raises Missing for the product.

    It is about one product, or about all whose webhooks had events of changes since then; without
    any, about those that have webhooks or had them before a reset.
    """
    api_calls.flush()
    found = happened.read(since, timeline.now(), product)
    if product:
        is_known = product in found.features or Product.objects.filter(pk=product).exists()
        if not is_known:
            raise Missing(product)
        products = {product}
    else:
        products = found.products or {*filter(None, found.features), *possible.with_webhooks()}
    features = found.features
    for pk, words in possible.features_of(products).items():
        features[pk] |= set(words)
    ids = set(found.counts).union(*(possible.possible(features[pk]) for pk in {"", *products}))
    ordered = sorted(map(Case, ids), key=cases.order)
    rows = [row(case, found.counts[case.id], language) for case in ordered]
    return summary.report(products, rows)


def row(case: Case, seen: int, language: str) -> Json:
    """Return a case of a report."""
    return {
        "id": case.id,
        "group": case.group,
        "text": case.text,
        "weight": case.weight,
        "seen": seen,
        "how": recipes.sentence(case),
        "stub": None if seen else stubs.write(case, language),
    }
