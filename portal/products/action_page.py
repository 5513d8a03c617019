"""`/actions/<id>?jwt=…`: the page of an action without a URL; the link is the permission."""

from __future__ import annotations

import json

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from portal import pages
from requests_queue.catalog import action_links
from requests_queue.catalog.action_links import WrongToken
from requests_queue.catalog.models import ProductAction
from requests_queue.catalog.representations import icon

_ABOUT = {"asset_id": "Subscription", "configuration_id": "Tier configuration"}


@require_safe
def action(request: HttpRequest, pk: str) -> HttpResponse:
    """Show the decoded token of a link, and how the vendor's own page verifies it.

    403 for an expired, forged or missing token, without any data of the product.
    """
    row = ProductAction.objects.select_related("product__owner").filter(pk=pk).first()
    try:
        if row is None:
            # The same error as for an invalid token, so that ids cannot be probed.
            raise WrongToken(action_links.UNVERIFIED)
        token = request.GET.get("jwt", "")
        header, claims = action_links.read(row, token)
    except WrongToken as wrong:
        return pages.render(
            request, "products/action_refused.html", {"why": str(wrong)}, status=403
        )
    context = {
        "row": row,
        "product": row.product,
        "icon": icon(row.product),
        "about": [(title, claims[name]) for name, title in _ABOUT.items() if name in claims],
        "expires": action_links.expires_at(claims),
        "token": token,
        "header": json.dumps(header, indent=2),
        "claims": json.dumps(claims, indent=2),
    }
    return pages.render(request, "products/action.html", context)
