"""Responses match Connect's OpenAPI document, except the deviations listed here.

`METHOD path status place: what`, with `*` for anything; unused entries are errors. Operations that
only one side has are compared in test_operations.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import pytest

from tests.api import Response
from tests.contract import operations, routes
from tests.contract.document import MISSING, Document, connects
from tests.contract.observed import ObservedResponse

pytestmark = [
    pytest.mark.openapi,
    pytest.mark.django_db,
    pytest.mark.skipif(bool(MISSING), reason=f"{MISSING} name no document: the API is unchecked"),
]

_LATER = "types since 37.0, which the document's own `/assets` and actions know"
_ACTIONS = "the document's own actions lead to this status"
_ASSETS = "the document's own `/assets` has it"
_TIER = "captured objects have it; orders name tiers by it"
_CAPTURED = "in objects that published clients captured"
_NULL = "null where nothing has happened: the document marks no reference as nullable"
_STRUCTURED = "the value of phones, addresses and checkboxes: they have no other"
_WHOLE = "the document repeats the body; a client needs the object, and its id"
_OFF = "null while it is off: captured, and clients ask so"

# METHOD path status place: what
DEVIATIONS = {
    "* /devops/services* environments.*: missing": (
        "an extension has one environment, the machine of its developer, without image and pages"
    ),
    "* /devops/services/*/environments* schedulables: array instead of *": (
        "runners declare a list of methods"
    ),
    "* /requests* type: 'adjustment' is none of the words": _LATER,
    "* /requests* type: 'renew' is none of the words": _LATER,
    "* /requests* type: 'transfer' is none of the words": _LATER,
    "* /requests* status: 'scheduled' is none of the words": _ACTIONS,
    "* /requests* status: 'revoking' is none of the words": _ACTIONS,
    "* /requests* status: 'revoked' is none of the words": _ACTIONS,
    "* /requests* asset.status: 'draft' is none of the words": _ASSETS,
    "* /requests* asset.status: 'terminating' is none of the words": _ASSETS,
    "* /requests* assignee: object instead of string": "captured as object; a string while empty",
    "* /requests* asset.params.structured_value: fits none of the forms": (
        "empty, and of checkboxes and objects: the document knows addresses and phones"
    ),
    "* /requests* asset.params.value_choices: object instead of string": (
        "connect-sdk 22 demands objects; `validate` of the document has them"
    ),
    "* /requests* asset.params.constraints: extra": _ASSETS,
    "* /requests* asset.params.phase: extra": _ASSETS,
    "* /requests* asset.params.scope: extra": _ASSETS,
    "* /requests* asset.connection.created_at: extra": _ASSETS,
    "* /requests* asset.connection.status: extra": _ASSETS,
    "* /requests* asset.contract.type: extra": _ASSETS,
    "* /requests* asset.items.params: extra": _CAPTURED,
    "* /requests* contract: extra": "the document filters by it",
    "* /requests* template: extra": "the document filters by it",
    "* /requests* external_attributes: extra": _CAPTURED,
    "* /requests* params_form_url: extra": _CAPTURED,
    "* /requests* planned_date: extra": "the document's own `schedule` sets it",
    "* /requests* asset.tiers.*.id: extra": _TIER,
    "* /requests* asset.tiers.*.type: extra": _TIER,
    "* /requests* asset.tiers.*.version: extra": _TIER,
    "* /requests* asset.tiers.*.environment: extra": _TIER,
    "GET /assets* tiers.*.id: extra": _TIER,
    "GET /assets* tiers.*.type: extra": _TIER,
    "GET /assets* tiers.*.version: extra": _TIER,
    "GET /assets* tiers.*.environment: extra": _TIER,
    "GET /assets* params: object instead of array": "the document has a list of lists",
    "GET /assets* items.quantity: string instead of number": (
        "captured as strings, as in requests; `unlimited` is no number"
    ),
    "GET /assets* items.display_name: extra": _CAPTURED,
    "GET /assets* items.global_id: extra": _CAPTURED,
    "GET /assets* items.item_type: extra": _CAPTURED,
    "GET /assets* items.mpn: extra": _CAPTURED,
    "GET /assets* items.params: extra": _CAPTURED,
    "GET /assets* items.period: extra": _CAPTURED,
    "GET /assets* items.type: extra": _CAPTURED,
    "* /notifications/webhooks* modified_by: null instead of object": _NULL,
    "* /notifications/webhooks* last_success: null instead of object": _NULL,
    "* /notifications/webhooks* last_failure: null instead of object": _NULL,
    "* /notifications/webhooks* stats.out_of_order: extra": "ours: Connect has no field for it",
    "*asset* configuration.params.structured_value: extra": _STRUCTURED,
    "* /tier/config* *configuration.params.structured_value: extra": _STRUCTURED,
    "* asset.configuration.params.structured_value: extra": _STRUCTURED,
    "GET /contracts* marketplace: extra": "the document filters by it, reports show it",
    "POST /products 201 *: extra": _WHOLE,
    "PUT /products/{} 200 *: extra": _WHOLE,
    "POST /products/{}/configurations 201 *: extra": _WHOLE,
    "GET /products/{}/configurations 200 structured_value: missing": (
        "plain values have none in objects that connect-cli captured"
    ),
    "POST /products/{}/items 201 *: extra": _WHOLE,
    "PUT /products/{}/items/{} 200 *: extra": _WHOLE,
    "PUT /products/{}/templates/{} 200 *: extra": _WHOLE,
    "* /products/{}/items* *: '*' is none of the words": "written large or small, read small",
    "* /products/{}/media* position: extra": "connect-cli reads it",
    "* /products/{}/media* *: extra": _WHOLE,
    "* /products/{}/*actions* url: extra": "ours: where the links of the action lead",
    "GET /products/{}/versions/{}/actions/{}/actionLink 200 *": (
        "the document repeats the action; the link of a product's own action is as here"
    ),
    "POST /products/{}/items 201 product_version: missing": "published tools don't send it",
    "* /products* capabilities.ppu: null instead of object": _OFF,
    "* /products* capabilities.tiers.configs: null instead of object": _OFF,
    "* /products* capabilities.tiers.configs.level: integer instead of string": _CAPTURED,
    "* /products/{}/*constraints.choices: object instead of string": _CAPTURED,
    "POST /tier/accounts 201 *: extra": _WHOLE,
    "PUT /tier/accounts/{} 200 *: extra": _WHOLE,
    "POST /tier/config-requests 201 *: extra": _WHOLE,
    "PUT /tier/config-requests/{} 200 *: extra": _WHOLE,
    "* /tier/config* tiers.*: extra": _TIER,
    "* /tier/config* *account.*: extra": _TIER,
    "* /tier/config* *tier_level: integer instead of string": "its own words are 1 and 2",
    "* /tier/config-requests* params: array instead of string": "captured, and written, as a list",
    "* /tier/config-requests* parent_configuration: missing": "tier 2 has nothing above it",
    "* /tier/config-requests* template: missing": "only some statuses have one",
    "* /tier/config-requests* sli: missing": "service levels aren't simulated",
    "POST /tier/account-requests 201 *: extra": _WHOLE,
    "* /subscriptions/requests* attributes: object instead of array": _CAPTURED,
    "GET /subscriptions/assets* template: missing": "a subscription that was never approved",
    "GET /subscriptions/assets* pending_request: missing": "most have none, and null isn't allowed",
    "GET /subscriptions/assets* pending_request.template: missing": "only some statuses have one",
    "* /listing* *type: 'update' is none of the words": "the document's own create takes it",
    "* /listing* *contract.marketplace: extra": "the document filters by it, reports show it",
    "POST /listing-requests/{}/* 200: the document has no body": (
        "the JS SDK and Zapier take the object from it"
    ),
    "POST /usage/files 201 *": "the document has a flat form; connect-sdk 22 reads the file",
    "PUT /usage/files/{} 200 *: extra": _WHOLE,
    "* /usage/files* note: extra": "the document's own writes take it; connect-sdk 22 reads it",
    "POST /usage/files/{}/upload 201: not in the document": (
        "connect-sdk 22 and PHP take nothing but 201 for an upload"
    ),
    "* /conversations/{}* 200 messages: extra": "Zapier and connect-sdk 22 read it there",
    "POST /conversations 201 messages: extra": "Zapier and connect-sdk 22 read it there",
    "GET /localization/translations*: not in the compared parts": "connect-cli's tests compare it",
    "GET /agreements*: not in the compared parts": "connect-cli's report and the Haxe SDK read it",
    "POST /agreements*: not in the compared parts": "connect-playground creates them",
    "POST /accounts 201 *: extra": _WHOLE,
    "POST /auth/*: not in the compared parts": "connect-playground calls them",
    "GET /users*: not in the compared parts": "connect-playground reads it",
}

# The same for paths that only the whole document has.
_TEXTS = "the document has texts whose words are numbers; its examples have numbers"
CHAPTERS = {
    "/helpdesk/cases": {
        "* /helpdesk/cases* priority: integer instead of string": _TEXTS,
        "* /helpdesk/cases* rating: integer instead of *": _TEXTS,
        "* /helpdesk/cases* size: integer instead of string": "its examples have numbers",
    },
}


@dataclass
class Observed:
    """The results of all calls."""

    document: Document
    findings: set[str] = field(default_factory=set)
    succeeded: set[tuple[str, str]] = field(default_factory=set)
    lists: dict[str, set[str]] = field(default_factory=dict)

    def add(self, method: str, path: str, response: Response) -> None:
        if response.status < 300:
            self.succeeded.add((method, path))
        if method == "GET" and isinstance(response.json, list):
            self.lists.setdefault(path, set()).add(response.headers.get("Content-Range", ""))
        if (method, path) in self.document.operations:
            self.findings.update(
                self.document.findings(method, path, response.status, response.json)
            )
        elif (method, path) in operations.connects():
            self.findings.add(f"{method} {path}: not in the compared parts")


@pytest.fixture(scope="module")
def observed(called: list[ObservedResponse]) -> Observed:
    result = Observed(connects())
    for method, path, response in called:
        result.add(method, path, response)
    return result


def deviations(document: Document) -> dict[str, str]:
    """Return the deviations; without a chapter in the document, that its paths are not in it."""
    found = dict(DEVIATIONS)
    for root, listed in CHAPTERS.items():
        if ("GET", root) in document.operations:
            found |= listed
        else:
            found[f"* {root}*: not in the compared parts"] = (
                "the document that is compared lacks it"
            )
    return found


def _is_empty(findings: Iterable[str]) -> None:
    lines = sorted(findings)
    assert not lines, "\n".join(["", *lines])


def test_every_response_matches_connects_document(observed: Observed) -> None:
    listed = deviations(observed.document)
    _is_empty(
        finding
        for finding in observed.findings
        if not any(fnmatchcase(finding, pattern) for pattern in listed)
    )


def test_every_listed_deviation_still_exists(observed: Observed) -> None:
    _is_empty(
        pattern
        for pattern in deviations(observed.document)
        if not any(fnmatchcase(finding, pattern) for finding in observed.findings)
    )


def test_every_operation_succeeds_at_least_once(observed: Observed) -> None:
    assert routes.operations() - observed.succeeded == set()


def test_every_list_has_a_content_range(observed: Observed) -> None:
    assert observed.lists.keys() >= routes.collections()
    without = {path for path, ranges in observed.lists.items() if "" in ranges}
    assert without == set()
