"""Six accounts on one platform, and the objects that each must not see.

Vendor and distributor of the demo data; two unrelated accounts; a vendor that sells through the
same distributor; a distributor that sells the same vendor's products. The others have copies of all
objects of the first two (`tests.copies`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import pytest
from django.db import connection
from django.db.models import QuerySet

from requests_queue import clock, seed
from requests_queue.catalog import models as catalog
from requests_queue.catalog.models import Account, ApiToken, User
from requests_queue.conversations.models import PRIVATE, Conversation, Message
from requests_queue.queues.billing.models import PROVIDER_TYPE, BillingRequest
from tests.api import PROVIDER, VENDOR, Caller, Response, caller
from tests.contract import calls, routes
from tests.copies import FIRST_PK, ID, Copy, Rows, rows
from tests.queue.platforms import undone
from webhooks.delivery import fan_out
from webhooks.models import Attempt, Webhook
from webhooks.types import EVENT, registered

# Number of objects of a list that are searched for one with parts.
TRIED = 3
STRANGERS, NEW_VENDOR, NEW_DISTRIBUTOR = 1, 2, 3
# Paths that contain a new signature each time.
_LINK = re.compile(r"(/usage/download/|\?jwt=)[^\"]+")

Read = dict[str, tuple[int, Any, str]]


# Each account: the number of its copy, 0 of the demo data, and what it is a copy of.
NAMED = {
    "vendor": (0, VENDOR), "distributor": (0, PROVIDER),
    "stranger vendor": (STRANGERS, VENDOR), "stranger distributor": (STRANGERS, PROVIDER),
    "new vendor": (NEW_VENDOR, VENDOR), "new distributor": (NEW_DISTRIBUTOR, PROVIDER),
}  # fmt: skip
# Whose objects each account must not see.
_OTHERS = {
    "vendor": ("stranger vendor", "stranger distributor", "new vendor"),
    "distributor": ("stranger vendor", "stranger distributor", "new distributor"),
    "stranger vendor": ("vendor", "distributor"),
    "stranger distributor": ("vendor", "distributor"),
    "new vendor": ("vendor", "distributor"),
    "new distributor": ("vendor", "distributor"),
}


@dataclass
class Remembering(Caller):
    """A caller that caches responses; only for data that does not change."""

    cache: dict[str, Response] = field(default_factory=dict)

    def get(self, path: str, **headers: str) -> Response:
        if path not in self.cache:
            self.cache[path] = super().get(path, **headers)
        return self.cache[path]


@dataclass
class Platform:
    """The callers of the accounts, the copies by number, and a path of every kind for each."""

    callers: dict[str, Caller]
    copies: dict[int, Copy] = field(default_factory=dict)
    # By account and path pattern: the path of an object of the account.
    paths: dict[str, dict[str, str]] = field(default_factory=dict)
    # Responses for missing objects, by role.
    absent: dict[Any, Any] = field(default_factory=dict)

    def of_others(self, party: str) -> Iterator[tuple[str, str, str]]:
        """Yield operations on objects that an account must not see: method, pattern, path."""
        hidden = self.hidden_from(party)
        requests = {
            (method, path, full): None
            for owner in _OTHERS[party]
            for method, path in sorted(routes.operations())
            if not hidden.isdisjoint(ID.findall(full := self.paths[owner][path]))
        }
        yield from requests

    def account_of(self, party: str) -> Account:
        """Return an account by its name in NAMED."""
        number, original = NAMED[party]
        return Account.objects.get(pk=self.copies[number].of(original) if number else original)

    def hidden_rows(self, party: str, model: Any) -> set[Any]:
        """Return the keys of the rows that an account must not see."""
        if model is ApiToken:
            # Created for the callers, and so not part of a copy.
            others = ApiToken.objects.exclude(user__account=self.account_of(party))
            return set(others.values_list("pk", flat=True))
        hidden, rows = self.hidden_from(party), set()
        visible = {"vendor": (0, NEW_DISTRIBUTOR), "distributor": (0, NEW_VENDOR)}.get(
            party, NAMED[party][:1]
        )
        shared = {key for number in visible if number for key in self.copies[number].shared}
        named = "uid" if model is User else "pk"
        for pk, name in model._default_manager.values_list("pk", named):
            if isinstance(name, str):
                rows |= {pk} if name in hidden else set()
            elif pk // FIRST_PK not in visible and (model, pk) not in shared:
                rows.add(pk)
        return rows

    def hidden_from(self, party: str) -> set[str]:
        """Return the identifiers that an account must not see."""
        copies = self.copies
        hidden, placeholders = set(copies[STRANGERS].ids), copies[STRANGERS].shown()
        match party:
            case "stranger vendor" | "stranger distributor":
                return hidden | copies[NEW_VENDOR].shown() | copies[NEW_DISTRIBUTOR].shown()
            case "new vendor":
                return set(copies[NEW_VENDOR].ids) | placeholders | copies[NEW_DISTRIBUTOR].shown()
            case "new distributor":
                return set(copies[NEW_DISTRIBUTOR].ids) | placeholders | copies[NEW_VENDOR].shown()
            case calls.VENDOR:
                return placeholders | copies[NEW_VENDOR].shown()
        return placeholders | copies[NEW_DISTRIBUTOR].shown()


@dataclass
class Reads:
    """Reads of the two accounts of the demo data: alone, with others, and without secrets."""

    alone: dict[str, Read] = field(default_factory=dict)
    beside: dict[str, Read] = field(default_factory=dict)
    without: dict[str, Read] = field(default_factory=dict)


@pytest.fixture(scope="module")
def platform(django_db_setup: None, django_db_blocker: Any) -> Iterator[Platform]:
    """The platform; tests must not change it."""
    with django_db_blocker.unblock(), undone():
        yield _made()


@pytest.fixture(scope="module")
def reads(request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any) -> Reads:
    """Reads of a temporary platform, by the parties of the tests that run."""
    reads = Reads()
    parties = {
        item.callspec.params["party"] for item in request.session.items if item.path == request.path
    }
    with django_db_blocker.unblock(), undone():
        callers, originals = _two(), rows()
        for party, other in ((calls.VENDOR, NEW_VENDOR), (calls.DISTRIBUTOR, NEW_DISTRIBUTOR)):
            if party not in parties:
                continue
            key = callers[party].key
            reads.alone[party] = _read(Remembering(key))
            with undone():
                for number in (STRANGERS, other):
                    _copy(number, originals)
                reads.beside[party] = _read(Remembering(key))
            with undone():
                for secrets in _secrets(SECRETS[party]):
                    secrets.delete()
                reads.without[party] = _read(Remembering(key))
    return reads


def _two() -> dict[str, Caller]:
    """Create the first two accounts, with secrets of each."""
    seed.run(lambda line: None)
    vendor, distributor = Account.objects.get(pk=VENDOR), Account.objects.get(pk=PROVIDER)
    _add_webhooks(vendor, distributor)
    _add_messages(vendor, distributor)
    callers = {calls.VENDOR: caller(vendor), calls.DISTRIBUTOR: caller(distributor)}
    for party in callers:
        calls.extension_with_tasks(callers, party)
    return callers


def _made() -> Platform:
    callers = _two()
    platform = Platform(callers)
    for party, each in callers.items():
        platform.paths[party] = dict(_paths(Remembering(each.key)))
    originals = rows()
    platform.copies = {n: _copy(n, originals) for n in (STRANGERS, NEW_VENDOR, NEW_DISTRIBUTOR)}
    connection.check_constraints()
    for name, (number, original) in NAMED.items():
        if number == 0:
            continue
        account = platform.account_of(name)
        callers[name] = caller(account, f"SU-200-000-{len(callers):03d}:secret-of-{number}")
        paths = platform.paths[calls.VENDOR if original == VENDOR else calls.DISTRIBUTOR]
        platform.paths[name] = {
            path: platform.copies[number].of(full) for path, full in paths.items()
        }
    return platform


def _copy(number: int, originals: Rows) -> Copy:
    """Add the accounts of a copy with all their objects."""
    keys = {(row._meta.model, row.pk) for rows in _shared_rows(number) for row in rows}
    return Copy(number, keys).make(originals)


def _shared_rows(number: int) -> Iterator[QuerySet[Any]]:
    """Yield the rows that a copy shares with the original."""
    yield User.objects.filter(account=None)
    if number == NEW_VENDOR:
        yield Account.objects.filter(pk=PROVIDER)
        yield User.objects.filter(account=PROVIDER)
        yield catalog.Hub.objects.filter(company=PROVIDER)
        yield catalog.Marketplace.objects.filter(owner=PROVIDER)
        yield catalog.Agreement.objects.filter(owner=PROVIDER)
        yield catalog.Hub.marketplaces.through._default_manager.filter(hub__company=PROVIDER)
    if number == NEW_DISTRIBUTOR:
        yield Account.objects.filter(pk=VENDOR)
        yield User.objects.filter(account=VENDOR)
        yield catalog.Product.objects.filter(owner=VENDOR)
        for part in (
            catalog.Item,
            catalog.Parameter,
            catalog.Template,
            catalog.ProductAction,
            catalog.ProductMedia,
            catalog.ProductVersion,
        ):
            yield part.objects.filter(product__owner=VENDOR)
        yield catalog.VersionPart.objects.filter(version__product__owner=VENDOR)
        yield catalog.Configuration.objects.filter(product__owner=VENDOR, marketplace=None)


def _secrets(account: str) -> list[QuerySet[Any]]:
    """Return the rows of an account that its partner must not see."""
    hidden = BillingRequest.objects.none()
    if account == PROVIDER:
        hidden = BillingRequest.objects.filter(type=PROVIDER_TYPE, provider=account)
    return [
        Conversation.objects.filter(instance_id__in=hidden.values("pk")),
        hidden,
        Webhook.objects.filter(account=account),
        Message.objects.filter(type=PRIVATE, account=account),
    ]


# The account whose secrets each party must not see.
SECRETS = {calls.VENDOR: PROVIDER, calls.DISTRIBUTOR: VENDOR}


def secret_paths(party: str) -> Iterator[tuple[str, str, str]]:
    """Yield operations on secrets of the partner: method, pattern, path."""
    about, hidden, hooks, messages = _secrets(SECRETS[party])
    one = messages.exclude(conversation__in=about).first()
    known_ids = {
        "/notifications/webhooks/{}": [hooks[0].pk],
        "/conversations/{}/messages/{}": [one.conversation.shown_id, one.shown_id],
    }
    if row := about.first():
        known_ids["/subscriptions/requests/{}"] = [hidden[0].pk]
        known_ids["/conversations/{}"] = [row.shown_id]
        known_ids["/conversations/{}/messages"] = [row.shown_id]
    for root, ids in known_ids.items():
        for method, path in sorted(routes.operations()):
            if path.startswith(root) and path.count("{}") == len(ids):
                yield method, path, calls.at(path, " ".join(ids))


def _add_webhooks(*accounts: Account) -> None:
    """Create a webhook with one attempt for each account, product and queue."""
    now, number = clock.now(), 0
    for account in accounts:
        for product in catalog.Product.objects.filter(owner=VENDOR):
            for kind in (each for each in registered() if each.type == EVENT):
                number += 1
                hook = Webhook.objects.create(
                    id=f"WH-100-100-{number:03d}",
                    label=f"Hook {number}",
                    account=account,
                    object_class=kind.object_class,
                    product=product,
                    created_at=now,
                    external_url="http://127.0.0.1:9/",
                    jwt_secret=f"JWT-of-{number}" * 4,
                    created_by=account.users.first(),
                )
                Attempt.objects.create(
                    webhook=hook,
                    delivery=fan_out.trigger(hook),
                    number=1,
                    outcome=Attempt.SUCCESS,
                    started_at=now,
                    finished_at=now,
                    duration=1,
                    method="POST",
                    status_code=200,
                    url=hook.external_url,
                    claims={"webhook_id": hook.pk},
                )


def _add_messages(*accounts: Account) -> None:
    """Add a private message of each account to each conversation with another one."""
    for row in Conversation.objects.filter(accounts=accounts[0]).filter(accounts=accounts[1]):
        for account in accounts:
            Message.objects.create(
                conversation=row,
                type=PRIVATE,
                text=f"Only {account.name} reads this.",
                account=account,
                creator=account.users.first(),
                created=row.created,
            )


def _paths(caller: Caller) -> Iterator[tuple[str, str]]:
    """Yield each path pattern with the path of an object of the account."""
    for path in sorted({path for _, path in routes.operations()}):
        for full in islice(calls.filled(path, caller, TRIED), 1):
            yield path, full


def _read(caller: Caller) -> Read:
    """Read everything that an account may read: each list in every order, and an object."""
    result: Read = {}
    views = routes.collections_by_path()
    for path, full in _paths(caller):
        if "get" not in views[path].actions:
            continue
        result[full] = response = _seen(caller.get(full))
        if isinstance(response[1], list) and (query := _ordered(views[path].cls)):
            result[f"{full}?{query}"] = _seen(caller.get(f"{full}?{query}"))
    return result


def _ordered(view: Any) -> str:
    rows = getattr(getattr(view, "rql_filter_class", None), "FILTERS", ())
    names = [f"-{row['filter']}" for row in rows if row.get("ordering")]
    return f"ordering({','.join(reversed(names))})&limit=2" if names else ""


def _seen(response: Response) -> tuple[int, Any, str]:
    shown = response.json if isinstance(response.json, list) else _LINK.sub("", repr(response.json))
    return response.status, shown, response.headers.get("Content-Range", "")
