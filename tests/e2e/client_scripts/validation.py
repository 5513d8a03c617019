"""Carts that the vendor's handler validates: of an order, of a reseller's set-up, and in vain."""

import os

from bodies import CONTACT, SUITE, purchase
from either import KIND, approved, distributor, got, refused, vendor

HANDLER, SECRET = os.environ["HANDLER_URL"], os.environ["SECRET"]
WEBHOOKS = vendor.ns("notifications").webhooks
CASCADE = {"id": "TA-6120-4478-0112"}


async def _webhook(type_, object_class, path):
    return await got(WEBHOOKS.create({
        "label": f"{type_} ({KIND})", "product_id": SUITE, "type": type_,
        "object_class": object_class, "external_url": f"{HANDLER}/{path}", "jwt_secret": SECRET,
    }))  # fmt: skip


async def _ended(webhook):
    """Delete a webhook and return what it was at last."""
    hook = await got(WEBHOOKS[webhook["id"]].get())
    await got(WEBHOOKS[webhook["id"]].delete())
    return hook


def _cart(email):
    body = purchase(SUITE, [{"id": "admin_email", "value": email}], status="draft")
    body["asset"]["tiers"]["tier1"] = CASCADE
    return body


async def cart():
    """Draft, refused, corrected, clean, bought, approved; the cart sends its whole body."""
    webhook = await _webhook("validator", "fulfillment_request", "cart")
    draft = await got(distributor.requests.create(_cart("no@example.com")))
    theirs = distributor.requests[draft["id"]]
    wrong = await got(theirs("validate").post(_cart("no@example.com")))
    right = await got(theirs("validate").post(_cart("yes@example.com")))
    await got(theirs.update(_cart("yes@example.com")))
    bought = await got(theirs("purchase").post({}))
    too_late = await refused(lambda: theirs("validate").post(_cart("yes@example.com")))
    await approved(bought)
    return {
        "draft": draft, "wrong": wrong, "right": right, "bought": bought, "too_late": too_late,
        "approved": await got(vendor.requests[draft["id"]].get()),
        "webhook": await _ended(webhook),
    }  # fmt: skip


async def tier_cart():
    """The same of a reseller's set-up."""
    webhook = await _webhook("draft_tcr_t1_val", "tier_config_request", "tiers")
    theirs = distributor.ns("tier").collection("config-requests")
    ours = vendor.ns("tier").collection("config-requests")
    account = {"name": f"Rowan ({KIND})", "contact_info": CONTACT}
    draft = await got(theirs.create({
        "type": "setup", "status": "draft",
        "configuration": {"product": {"id": SUITE}, "account": account, "tier_level": 1},
        "params": [{"id": "partner_agreement", "value": "NSS-0"}],
    }))  # fmt: skip
    wrong = await got(theirs[draft["id"]]("validate").post({"params": draft["params"]}))
    params = [{"id": "partner_agreement", "value": "NSS-1"}]
    right = await got(theirs[draft["id"]]("validate").post({"params": params}))
    await got(theirs[draft["id"]]("submit").post({}))
    submitted = await got(ours[draft["id"]].get())
    await got(ours[draft["id"]].update({"params": [{"id": "partner_tenant", "value": "pt-5"}]}))
    await got(ours[draft["id"]]("approve").post({}))
    return {
        "draft": draft, "wrong": wrong, "right": right, "submitted": submitted,
        "approved": await got(ours[draft["id"]].get()), "webhook": await _ended(webhook),
    }  # fmt: skip


async def in_vain():
    """The handler is down: the client says so after one call, and the order goes on."""
    webhook = await _webhook("validator", "fulfillment_request", "down")
    draft = await got(distributor.requests.create(_cart("yes@example.com")))
    theirs = distributor.requests[draft["id"]]
    said = await refused(lambda: theirs("validate").post(_cart("no@example.com")))
    after = await got(theirs.get())
    return {
        "draft": draft, "said": said, "after": after,
        "bought": await got(theirs("purchase").post({})), "webhook": await _ended(webhook),
    }  # fmt: skip
