"""Links of actions: in Connect they lead to a page of the vendor's, here to one that says what such
a page is asked for.

A link is good for ten minutes, and good for whoever has one, as a browser has no API key.
"""

from __future__ import annotations

from django.conf import settings
from django.core import signing
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from requests_queue.catalog import product_shape
from requests_queue.catalog.models import Asset, ProductAction
from requests_queue.errors import Forbidden, Missing

SECONDS = 600
_SALT = "product-action"


def to(action: ProductAction, asset: Asset | None) -> str:
    """Return a link to an action, for a subscription where one is named."""
    about = [action.pk, asset.pk if asset else None]
    token = signing.dumps(about, salt=_SALT, compress=False)
    return f"{settings.SIM_API_URL}/public/v1/products/actions/{token}"


class Landing(APIView):
    """`GET /products/actions/{token}`: which action, and for which subscription.

    403 for a link that is over or forged.
    """

    authentication_classes = ()
    permission_classes = ()

    def get(self, request: Request, token: str) -> Response:
        """Answer with what the link is about."""
        try:
            action_id, asset_id = signing.loads(token, salt=_SALT, max_age=SECONDS)
        except signing.BadSignature:
            raise Forbidden("This link is not valid any more: ask for a new one.") from None
        action = ProductAction.objects.filter(pk=action_id).first()
        if action is None:
            raise Missing(action_id)
        return Response(
            {
                "action": product_shape.action(action),
                "product": {"id": action.product_id},
                "asset": {"id": asset_id} if asset_id else {},
            }
        )
