"""`/tier/accounts`: customers and resellers, and their versions.

Providers write them, vendors read them.
"""

from __future__ import annotations

import builtins
from typing import Any

from django.db.models import Exists, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from requests_queue.api.filter_tables import text_in
from requests_queue.api.schema import Documented
from requests_queue.catalog import visibility
from requests_queue.catalog.models import TierAccount, TierAccountVersion
from requests_queue.catalog.representations.tier_accounts import TIER_ACCOUNT, scopes_of
from requests_queue.catalog.rest import Collection, routes
from requests_queue.catalog.tier_versions import as_account
from requests_queue.catalog.views.audited import AuditedCollection
from requests_queue.catalog.writes import tier_accounts
from requests_queue.db.rows import get_row
from requests_queue.errors import Forbidden, Missing

_PROVIDERS_ONLY = "Only the provider can change tier accounts."


class TierAccounts(AuditedCollection):
    """`/tier/accounts`: providers read and write their own; vendors read those in their assets.

    Decommissioned ones are in no list; a GET by id still returns them.
    """

    documented = Documented("Tiers", "tier account", TIER_ACCOUNT)
    bodies = {
        "create": tier_accounts.TierAccountInput(),
        "update": tier_accounts.TierAccountInput(partial=True),
    }

    def visible(self) -> QuerySet[TierAccount]:
        """Return the tier accounts, decommissioned ones too."""
        return visibility.tier_accounts(self.account).alias(
            contact_email=text_in("contact_info__contact__email"),
        )

    def listed(self) -> QuerySet[TierAccount]:
        """Return the tier accounts that aren't decommissioned."""
        return self.visible().filter(decommissioned=None)

    def annotations(self) -> dict[str, Exists]:
        """Return the tiers of an account in the caller's assets."""
        return visibility.tiers(self.account)

    def create(self, request: Request) -> Response:
        """Create a tier account, for providers: 201, 400 or 403."""
        if self.account.is_vendor:
            raise Forbidden(_PROVIDERS_ONLY)
        return self.created(tier_accounts.create(self.body, self.account))

    def update(self, request: Request, pk: str) -> Response:
        """Change a tier account, for its provider: 200; what the body lacks stays as it is."""
        self._require_owner()
        tier_accounts.update(pk, self.body, self.account)
        return self.answer(self.get_object())

    def destroy(self, request: Request, pk: str) -> Response:
        """Decommission a tier account, for its provider: 204; it can't be undone."""
        self._require_owner()
        tier_accounts.decommission(pk)
        return Response(status=204)

    def _require_owner(self) -> None:
        """Raise Missing or Forbidden unless the caller owns the account in the path.

        Its provider does, or a vendor in its preview environment.
        """
        if self.get_object().owner_id != self.account.pk:
            raise Forbidden(_PROVIDERS_ONLY)


class TierAccountVersions(Collection):
    """`/tier/accounts/{id}/versions`, the newest first; 404 where the account isn't seen."""

    documented = Documented("Tiers", "version of a tier account", TIER_ACCOUNT)
    rql_filter_class = None

    def list(self, request: Request, **kwargs: Any) -> Response:
        """List the versions: 200, paged."""
        page = self.paginate_queryset(self._versions(self._account()))
        return self.get_paginated_response([TIER_ACCOUNT.represent(row) for row in page or []])

    def retrieve(self, request: Request, **kwargs: Any) -> Response:
        """Return the version of that number: 200 or 404."""
        row = self._account()
        for version in self._versions(row):
            if str(version.version) == kwargs["pk"]:
                return Response(TIER_ACCOUNT.represent(version))
        raise Missing(f"{row.pk} version {kwargs['pk']}")

    def _account(self) -> TierAccount:
        rows = visibility.tier_accounts(self.account).annotate(**visibility.tiers(self.account))
        return get_row(rows.select_related("owner", "hub", "parent"), self.kwargs["account_id"])

    def _versions(self, row: TierAccount) -> builtins.list[TierAccount]:
        """Return all versions: the newest is the account itself."""
        older = TierAccountVersion.objects.filter(account=row, version__lt=row.version)
        scopes = scopes_of(row)
        found = [row]
        for version in older.select_related("account__owner", "hub", "parent").order_by("-version"):
            found.append(as_account(version, scopes))
        return found


urlpatterns = [
    *routes("tier/accounts/(?P<account_id>[^/]+)/versions", TierAccountVersions),
    *routes("tier/accounts", TierAccounts),
]
