"""Presets of the form for changes: faults of one delivery, without arming any."""

from __future__ import annotations

import time

import jwt
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


def test_each_preset_changes_its_request_only(
    deliver: Deliver, hook: Webhook, served: Handler
) -> None:
    attempt = deliver()
    kinds = {
        "expired_token": "stale_token",
        "other_secret": "rotate_secret",
        "no_token": "no_token",
        "twice": "duplicate",
    }
    assert {each.name for each in delivery_side.PRESETS} == kinds.keys()
    for number, (preset, kind) in enumerate(kinds.items(), 2):
        before = len(served.received)
        created = changes_form.send_changed(attempt, {"preset": preset})
        until(lambda: recorded(number), preset)  # noqa: B023
        sent = served.received[before:]
        stored = Attempt.objects.get(delivery=created)
        assert stored.faults == [{"name": delivery_side.NAME, "kind": kind}]
        headers = {name.lower() for request in sent for name in request.headers}
        assert ("authorization" in headers) == (preset != "no_token")
        assert ("Authorization" in stored.request_headers) == (preset != "no_token")
        assert len(sent) == (2 if preset == "twice" else 1)
        if preset == "expired_token":
            claims = jwt.decode(sent[0].token, hook.jwt_secret, ["HS256"], {"verify_exp": False})
            assert 59 <= time.time() - claims["exp"] < 100
        if preset == "other_secret":
            with pytest.raises(jwt.InvalidSignatureError):
                jwt.decode(sent[0].token, hook.jwt_secret, ["HS256"])
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
