"""Validation of carts by the vendor's handler: an order, a setup, and a failing handler."""

import os

from bodies import CONTACT, SUITE, purchase
from either import KIND, approved, distributor, refused, result, vendor

HANDLER, SECRET = os.environ["HANDLER_URL"], os.environ["SECRET"]
WEBHOOKS = vendor.ns("notifications").webhooks
CASCADE = {"id": "TA-6120-4478-0112"}


async def _webhook(type_, object_class, path):
    return await result(WEBHOOKS.create({
        "label": f"{type_} ({KIND})", "product_id": SUITE, "type": type_,
        "object_class": object_class, "external_url": f"{HANDLER}/{path}", "jwt_secret": SECRET,
    }))  # fmt: skip


async def _ended(webhook):
    """Delete a webhook and return its last state."""
    hook = await result(WEBHOOKS[webhook["id"]].get())
    await result(WEBHOOKS[webhook["id"]].delete())
    return hook


def _cart(email):
    body = purchase(SUITE, [{"id": "admin_email", "value": email}], status="draft")
    body["asset"]["tiers"]["tier1"] = CASCADE
    return body


async def cart():
    """An order from a refused draft to its approval; the cart sends its whole body."""
    webhook = await _webhook("validator", "fulfillment_request", "cart")
    draft = await result(distributor.requests.create(_cart("no@example.com")))
    order = distributor.requests[draft["id"]]
    wrong = await result(order("validate").post(_cart("no@example.com")))
    right = await result(order("validate").post(_cart("yes@example.com")))
    await result(order.update(_cart("yes@example.com")))
    bought = await result(order("purchase").post({}))
    too_late = await refused(lambda: order("validate").post(_cart("yes@example.com")))
    await approved(bought)
    return {
        "draft": draft, "wrong": wrong, "right": right, "bought": bought, "too_late": too_late,
        "approved": await result(vendor.requests[draft["id"]].get()),
        "webhook": await _ended(webhook),
    }  # fmt: skip


async def tier_cart():
    """The setup of a reseller from a refused draft to its approval."""
    webhook = await _webhook("draft_tcr_t1_val", "tier_config_request", "tiers")
    of_distributor = distributor.ns("tier").collection("config-requests")
    of_vendor = vendor.ns("tier").collection("config-requests")
    account = {"name": f"Rowan ({KIND})", "contact_info": CONTACT}
    draft = await result(of_distributor.create({
        "type": "setup", "status": "draft",
        "configuration": {"product": {"id": SUITE}, "account": account, "tier_level": 1},
        "params": [{"id": "partner_agreement", "value": "NSS-0"}],
    }))  # fmt: skip
    wrong = await result(of_distributor[draft["id"]]("validate").post({"params": draft["params"]}))
    params = [{"id": "partner_agreement", "value": "NSS-1"}]
    right = await result(of_distributor[draft["id"]]("validate").post({"params": params}))
    await result(of_distributor[draft["id"]]("submit").post({}))
    submitted = await result(of_vendor[draft["id"]].get())
    await result(
        of_vendor[draft["id"]].update({"params": [{"id": "partner_tenant", "value": "pt-5"}]})
    )
    await result(of_vendor[draft["id"]]("approve").post({}))
    return {
        "draft": draft, "wrong": wrong, "right": right, "submitted": submitted,
        "approved": await result(of_vendor[draft["id"]].get()), "webhook": await _ended(webhook),
    }  # fmt: skip


async def unreachable():
    """Validation by an unreachable handler: the client reports it, and the order continues."""
    webhook = await _webhook("validator", "fulfillment_request", "down")
    draft = await result(distributor.requests.create(_cart("yes@example.com")))
    order = distributor.requests[draft["id"]]
    message = await refused(lambda: order("validate").post(_cart("no@example.com")))
    after = await result(order.get())
    return {
        "draft": draft, "error": message, "after": after,
        "bought": await result(order("purchase").post({})), "webhook": await _ended(webhook),
    }  # fmt: skip
