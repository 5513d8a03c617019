"""The API keys of a sandbox: configured ones, or those of its last start while they are valid."""

from __future__ import annotations

import logging

from django.conf import settings
from django.utils import timezone

from checks import sandbox_file
from checks.sandbox_file import Sandbox
from connect_sim.installation import StartError
from requests_queue.catalog import keys
from requests_queue.catalog.models import Account, ApiToken
from requests_queue.errors import Refused

logger = logging.getLogger(__name__)


def prepare() -> tuple[str, str]:
    """Return the vendor's and the distributor's key, whose hashes are stored; raises StartError.

    A configured key is set again if it has been revoked or has expired. Any other one stays so, and
    is replaced by a new one.
    """
    try:
        last = sandbox_file.read(settings.SIM_DATA_DIR)
    except sandbox_file.NoSandbox:
        last = Sandbox("", "", "")
    return (
        _key("vendor", settings.SIM_VENDOR_API_KEY, last.vendor_api_key),
        _key("provider", settings.SIM_PROVIDER_API_KEY, last.provider_api_key),
    )


def _key(party: str, configured: str, last: str) -> str:
    key = (configured or last or keys.new_key()).removeprefix("ApiKey ").strip()
    account = Account.objects.filter(type=party).order_by("created", "pk").first()
    token = keys.valid_token(key, timezone.now())
    if account is None or (token is not None and token.user.account_id == account.pk):
        return key
    uid, name = key.partition(":")[0], f"Sandbox {party} token"
    stored = ApiToken.objects.filter(user__account=account)
    if not configured and stored.exists():
        if last:
            logger.warning(
                "The API key %s in sandbox.json is not valid any more (revoked, expired or "
                "deleted). sandbox.json now has a new one.",
                uid,
            )
        return keys.create(account, name)[0]
    setting = f"SIM_{party.upper()}_API_KEY"
    if stored.filter(user__uid=uid).exists():
        logger.warning(
            "The API key %s was revoked or had expired, or had another secret. It is valid again, "
            "because %s sets it.",
            uid,
            setting,
        )
    try:
        keys.store(account, key, name)
    except Refused as error:
        raise StartError(f"{setting}: {error}") from None
    return key
