"""Faults of the token: when it expires, which clock it has, and what signs it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest

from portal.deliveries import changes_form
from tests.engines import move_clock, until
from tests.handlers import Handler, ReceivedRequest
from tests.sandbox.faults.conftest import Arm
from tests.sandbox.faults.delivering import Deliver, deliver, recorded
from webhooks.models import Webhook

__all__ = ["deliver"]

pytestmark = pytest.mark.django_db(transaction=True)


def verified(request: ReceivedRequest, secret: str, **options: Any) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(request.token, secret, ["HS256"], options or None)
    return claims


def test_stale_token_has_expired_by_real_time(
    arm: Arm, deliver: Deliver, hook: Webhook, served: Handler
) -> None:
    move_clock(7200)
    arm("stale_token", {"seconds": 120}, webhook=hook.pk)
    deliver()
    [request] = served.received
    claims = verified(request, hook.jwt_secret, verify_exp=False)
    assert 119 <= time.time() - claims["exp"] < 160
    with pytest.raises(jwt.ExpiredSignatureError):
        verified(request, hook.jwt_secret)


def test_skewed_clock_is_in_payload_and_token(
    arm: Arm, deliver: Deliver, hook: Webhook, served: Handler
) -> None:
    arm("clock_skew", {"seconds": 3600}, webhook=hook.pk)
    attempt = deliver()
    [request] = served.received
    claims = verified(request, hook.jwt_secret)
    sent = datetime.fromisoformat(request.json["triggered_at"])
    ahead = (sent - attempt.started_at).total_seconds()
    assert 3598 <= ahead <= 3600 and claims["triggered_at"] == request.json["triggered_at"]
    assert claims["exp"] == int(sent.timestamp()) + 600
    # Only what is sent is wrong.
    assert abs((attempt.started_at - datetime.now(UTC)).total_seconds()) < 60


def test_rotated_secret_signs_but_is_not_stored(
    arm: Arm, deliver: Deliver, hook: Webhook, served: Handler
) -> None:
    arm("rotate_secret", webhook=hook.pk, times=1)
    deliver()
    deliver()
    first, second = served.received
    with pytest.raises(jwt.InvalidSignatureError):
        verified(first, hook.jwt_secret)
    assert verified(second, hook.jwt_secret)["webhook_id"] == hook.pk
    before = hook.jwt_secret
    hook.refresh_from_db()
    assert hook.jwt_secret == before


def test_resend_has_faults_and_its_own_content(
    arm: Arm, deliver: Deliver, hook: Webhook, served: Handler
) -> None:
    attempt = deliver()
    arm("stale_token", webhook=hook.pk)
    changes_form.send_changed(attempt, {"content": {"processing_timeout": 60}})
    until(lambda: recorded(2), "it is sent again")
    claims = verified(served.received[-1], hook.jwt_secret, verify_exp=False)
    assert claims["processing_timeout"] == 60 and 59 <= time.time() - claims["exp"] < 100
