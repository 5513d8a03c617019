"""Webhooks: create, read, change, list, trigger, delete."""

import os
import time

from common import PLAIN, PROVIDER_KEY, client, hand_over, refused

connect = client()
webhooks = connect.ns("notifications").collection("webhooks")
created = webhooks.create(
    {
        "label": "Made by the client",
        "product_id": PLAIN,
        "object_class": "fulfillment_request",
        "external_url": os.environ["HANDLER_URL"],
        "jwt_secret": os.environ["SECRET"],
        "data": {"tenant": "lab-1"},
        "headers": {"X-Env": "lab"},
    }
)
resource = webhooks[created["id"]]
read = resource.get()
changed = resource.update({"label": "Changed", "description": "By the client."})
listed = list(webhooks.filter(product__id=PLAIN, active=True).order_by("-created_at"))
searched = list(webhooks.all().search("Changed"))
triggered = resource("trigger").post()
triggered_status = connect.response.status_code
deadline = time.monotonic() + 10
while not (after := resource.get())["last_success"] and time.monotonic() < deadline:
    pass
disabled = resource.update({"active": False})
trigger_of_disabled = refused(lambda: resource("trigger").post())
of_another = refused(lambda: client(PROVIDER_KEY).ns("notifications").webhooks[created["id"]].get())
deleted = resource.delete()
deleted_status = connect.response.status_code

hand_over(
    created=created,
    read=read,
    changed=changed,
    listed=[row["id"] for row in listed],
    searched=[row["id"] for row in searched],
    triggered=[triggered_status, repr(triggered)],
    after=after,
    disabled=disabled,
    trigger_of_disabled=trigger_of_disabled,
    of_another=of_another,
    deleted=[deleted_status, deleted],
    exists=resource.exists(),
)
