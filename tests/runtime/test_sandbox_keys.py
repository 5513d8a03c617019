"""A start reuses the API keys of the last one, and revives none but configured ones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from checks import sandbox_file
from checks.sandbox_file import Sandbox
from connect_sim import sandbox_keys
from connect_sim.installation import StartError
from requests_queue.catalog import keys
from requests_queue.catalog.models import ApiToken, AuditEntry, User
from tests import make

pytestmark = pytest.mark.django_db
UID = "SU-777-000-001"
KEY = f"{UID}:the-secret-of-a-key"


@pytest.fixture(autouse=True)
def last(settings: Any, tmp_path: Path) -> tuple[str, str]:
    """The keys of the last start, which are valid and in sandbox.json."""
    settings.SIM_DATA_DIR = tmp_path
    settings.SIM_VENDOR_API_KEY = settings.SIM_PROVIDER_API_KEY = ""
    make.catalog("7")
    created = sandbox_keys.prepare()
    keep(*created)
    return created


def keep(vendor: str, provider: str) -> None:
    from django.conf import settings

    sandbox_file.write(settings.SIM_DATA_DIR, Sandbox("http://127.0.0.1:9", vendor, provider))


def revoked(token: ApiToken) -> None:
    keys.revoke(token.user.uid)


def expired(token: ApiToken) -> None:
    ApiToken.objects.filter(pk=token.pk).update(expires=timezone.now() - timedelta(seconds=1))


def of_inactive_user(token: ApiToken) -> None:
    User.objects.filter(pk=token.user_id).update(is_active=False)


def deleted(token: ApiToken) -> None:
    # The account has another key: it is not a new one.
    keys.create(token.user.account, "Extension")
    User.objects.filter(pk=token.user_id).delete()


def with_another_secret(token: ApiToken) -> None:
    ApiToken.objects.filter(pk=token.pk).update(digest="0" * 64)


DISABLED = [revoked, expired, of_inactive_user, deleted, with_another_secret]


def is_valid(key: str) -> bool:
    return keys.owner(key) is not None


def test_valid_keys_are_kept_as_they_are(
    last: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    expires = timezone.now() + timedelta(days=1)
    ApiToken.objects.update(expires=expires, description="Mine.")
    entries = AuditEntry.objects.count()
    assert sandbox_keys.prepare() == last
    assert set(ApiToken.objects.values_list("expires", "description")) == {(expires, "Mine.")}
    assert set(ApiToken.objects.values_list("last_used", flat=True)) == {None}
    assert AuditEntry.objects.count() == entries and caplog.text == ""


@pytest.mark.parametrize("disable", DISABLED)
def test_disabled_key_stays_disabled_and_is_replaced(
    last: tuple[str, str], caplog: pytest.LogCaptureFixture, disable: Callable[[ApiToken], None]
) -> None:
    uid, _, secret = last[0].partition(":")
    disable(ApiToken.objects.get(user__uid=uid))
    vendor, provider = sandbox_keys.prepare()
    assert not is_valid(last[0])
    assert is_valid(vendor) and provider == last[1]
    assert uid in caplog.text and "sandbox.json" in caplog.text
    assert secret not in caplog.text and vendor.partition(":")[2] not in caplog.text


@pytest.mark.parametrize("disable", [each for each in DISABLED if each is not deleted])
def test_configured_key_is_set_again_and_the_start_says_so(
    settings: Any, caplog: pytest.LogCaptureFixture, disable: Callable[[ApiToken], None]
) -> None:
    settings.SIM_VENDOR_API_KEY = f"ApiKey {KEY}"
    assert sandbox_keys.prepare()[0] == KEY and caplog.text == ""
    keys.set_modules(ApiToken.objects.get(user__uid=UID), ["Usage"])
    disable(ApiToken.objects.get(user__uid=UID))
    assert not is_valid(KEY)
    assert sandbox_keys.prepare()[0] == KEY
    assert is_valid(KEY)
    assert ApiToken.objects.get(user__uid=UID).modules == ["Usage"]
    assert UID in caplog.text and "SIM_VENDOR_API_KEY" in caplog.text
    assert "the-secret-of-a-key" not in caplog.text


def test_new_database_gets_the_keys_of_the_last_start(
    last: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    User.objects.filter(is_service=True).delete()
    assert sandbox_keys.prepare() == last
    assert all(is_valid(key) for key in last) and caplog.text == ""


def test_key_that_somebody_wrote_into_the_file_is_not_accepted(last: tuple[str, str]) -> None:
    keep(KEY, last[1])
    vendor, _ = sandbox_keys.prepare()
    assert vendor != KEY and not is_valid(KEY) and is_valid(vendor)


def test_configured_key_of_another_account_is_refused(settings: Any, last: tuple[str, str]) -> None:
    settings.SIM_VENDOR_API_KEY = last[1]
    with pytest.raises(StartError, match=r"SIM_VENDOR_API_KEY: SU-.* another account"):
        sandbox_keys.prepare()
