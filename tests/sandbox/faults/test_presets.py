"""Presets of the form for changes: faults of one delivery, without arming any."""

from __future__ import annotations

import pytest

from portal.deliveries import changes_form
from sandbox.faults import delivery_side
from sandbox.models import Fault
from tests.engines import until
from tests.handlers import Handler
from tests.sandbox.faults.delivering import Deliver, deliver, recorded
from webhooks.delivery import resend
from webhooks.models import Attempt, Webhook

__all__ = ["deliver"]

pytestmark = pytest.mark.django_db(transaction=True)


KINDS = {
    "expired_token": "stale_token",
    "other_secret": "rotate_secret",
    "no_token": "no_token",
    "twice": "duplicate",
}


def test_each_preset_has_a_kind() -> None:
    assert {each.name for each in delivery_side.PRESETS} == KINDS.keys()


@pytest.mark.parametrize(("preset", "kind"), KINDS.items())
def test_preset_changes_its_request_only(
    deliver: Deliver, hook: Webhook, served: Handler, preset: str, kind: str
) -> None:
    created = changes_form.send_changed(deliver(), {"preset": preset})
    until(lambda: recorded(2), "it is sent")
    _, *sent = served.received
    stored = Attempt.objects.get(delivery=created)
    assert stored.faults == [{"name": delivery_side.NAME, "kind": kind}]
    headers = {name.lower() for request in sent for name in request.headers}
    assert ("authorization" in headers) == (preset != "no_token")
    assert ("Authorization" in stored.request_headers) == (preset != "no_token")
    assert len(sent) == (2 if preset == "twice" else 1)
    # Neither the webhook nor later requests are changed.
    hook.refresh_from_db()
    assert hook.round == 0 and not Fault.objects.exists()
    assert deliver().faults == []


def test_resend_of_a_preset_repeats_it(deliver: Deliver, hook: Webhook, served: Handler) -> None:
    first = changes_form.send_changed(deliver(), {"preset": "no_token"})
    until(lambda: recorded(2), "it is sent")
    resend.create_resend(Attempt.objects.get(delivery=first))
    until(lambda: recorded(3), "it is sent again")
    assert "Authorization" not in served.received[-1].headers
