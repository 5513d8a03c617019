"""The readings as data: what each alternative says, which checks it can change, and the source.

Names and alternatives are those of `requests_queue.alternatives`; `row` is the beginning of the
row of docs/fidelity.md that the reading is about. No Django: `connect-sim check` reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from requests_queue.alternatives import ALTERNATIVES, SETTINGS, Name
from requests_queue.suggestions import did_you_mean


@dataclass(frozen=True, slots=True)
class Reading:
    """A question to which public sources have no answer, or several.

    `alternatives` has a sentence for each, the default first. `checks` are the ids of the checks
    of a handler that it can change.
    """

    id: Name
    title: str
    alternatives: Mapping[str, str]
    source: str
    row: str
    checks: tuple[str, ...] = ()

    @property
    def default(self) -> str:
        """The alternative unless a setting chooses another."""
        return ALTERNATIVES[self.id][0]

    @property
    def setting(self) -> str:
        """The variable that chooses an alternative at the start."""
        return SETTINGS[self.id]


# A genuine request that is processed: what any handler meets.
_PROCESSED = ("effects.control",)
_SENT = (*_PROCESSED, "validator.control")

READINGS: tuple[Reading, ...] = (
    Reading(
        "jwt_header",
        "Which header has the token",
        {
            "both": "Requests have the token in Authentication and in Authorization.",
            "authentication": "Requests have the token in Authentication only.",
            "authorization": "Requests have the token in Authorization only.",
        },
        "The webhooks article: its example has Authentication, its text Authorization.",
        "`Authorization: Bearer …` with the same value",
        _SENT,
    ),
    Reading(
        "object_class_form",
        "The form of object_class in payloads",
        {
            "plural": "Payloads have the plural: fulfillment_requests.",
            "singular": "Payloads have the singular: fulfillment_request.",
        },
        "The webhooks article has the plural, a captured payload of January 2020 the singular.",
        "plural `object_class` in payloads",
        _SENT,
    ),
    Reading(
        "api_url_slash",
        "The slash at the end of api_url",
        {
            "absent": "api_url has no slash at the end.",
            "present": "api_url ends with a slash.",
        },
        "The webhooks article has one, a captured payload of January 2020 has none.",
        "`api_url` without a trailing slash",
        _SENT,
    ),
    Reading(
        "event_mode",
        "One request for each event, or for several",
        {
            "each": "Each event is a delivery of its own while the handler responds.",
            "coalesce": "A webhook has at most one pending delivery, which events join.",
        },
        "The webhooks article says what causes a request, not whether one may stand for several.",
        "events join a pending delivery during the backoff",
        ("retry.after_500",),
    ),
    Reading(
        "draft_events",
        "Whether the creation of a draft is a queue change",
        {
            "none": "The creation of a draft calls no handler.",
            "created": "The creation of a draft calls the handlers.",
        },
        "The webhooks article: a change of the queue is, for example, a new request.",
        "a queue change is the creation of an object",
        _PROCESSED,
    ),
    Reading(
        "update_events",
        "Whether an update of an order is a queue change",
        {
            "none": "A PUT of a fulfillment request calls no handler.",
            "updated": "A PUT of a fulfillment request that is no draft calls the handlers.",
        },
        "The webhooks article names creation and status; CloudBlue's Zapier app says created or "
        "updated.",
        "a queue change is the creation of an object",
        ("effects.one_run",),
    ),
    Reading(
        "created_status",
        "The first status of an order that has to wait",
        {
            "final": "An order is created in tiers_setup or inquiring: one event.",
            "pending": "An order is created as pending and moved on at once: two events.",
        },
        "The published state machine has the step from pending; the texts of the statuses have "
        "orders created in them.",
        "an order that needs a tier configuration first",
        ("effects.old_error", "effects.older_order"),
    ),
    Reading(
        "cancel_suspended",
        "Whether a suspended subscription can be canceled",
        {
            "allowed": "A suspended subscription can be canceled.",
            "refused": "Only an active subscription can be canceled.",
        },
        "The published state machine cancels active subscriptions only.",
        "a cancel that fails or is revoked leaves a suspended subscription",
    ),
    Reading(
        "request_updates",
        "Which drafts and inquiring orders a PUT changes",
        {
            "validated": "A PUT changes those of products with the capability to validate them.",
            "any": "A PUT changes all drafts and inquiring orders.",
        },
        "CloudBlue's agent-skills of June 2026 demand the capability; the documentation of the "
        "portal names none.",
        "`PUT` changes pending requests",
        ("effects.old_error",),
    ),
    Reading(
        "update_code",
        "The error code of an order that a PUT can't change",
        {
            "REQ_001": "The code is REQ_001.",
            "REQ_003": "The code is REQ_003.",
        },
        "CloudBlue's agent-skills of June 2026 have REQ_001, a published client's test of 2022 "
        "has the same sentence with REQ_003.",
        "`PUT` changes pending requests",
        ("effects.approved_elsewhere",),
    ),
    Reading(
        "wrong_status_code",
        "The error code of an action in a wrong status",
        {
            "REQ_003": "The code is REQ_003.",
            "VAL_001": "The code is VAL_001.",
        },
        "Tests of published clients have REQ_003 in similar cases; CloudBlue's agent-skills of "
        "2026 have VAL_001 for Helpdesk cases.",
        "wrong status for an action",
        ("effects.approved_elsewhere", "delivery.late_duplicate"),
    ),
    Reading(
        "approve_template",
        "Whether an approval needs a template",
        {
            "optional": "Without a template, an approval takes the product's first one.",
            "required": "Without a template or an activation tile, an approval is refused.",
        },
        "The OpenAPI document has both fields and demands neither.",
        "approve without `template_id` and `activation_tile`",
        _PROCESSED,
    ),
    Reading(
        "pending_template",
        "Whether pending and inquiring requests have a template",
        {
            "present": "Pending and inquiring requests carry their default template.",
            "absent": "Pending and inquiring requests carry no template, unless one was chosen.",
        },
        "CloudBlue's extension examples read it; captures of 2019 to 2021 lack it.",
        "pending and inquiring requests of every type carry `template`",
        _SENT,
    ),
    Reading(
        "value_errors",
        "What clears the value_error of a parameter",
        {
            "kept": "An empty value_error or the customer's answer clears it.",
            "cleared": "So does pend, for all parameters, and in the subscription the approval.",
        },
        "CloudBlue's agent-skills of June 2026 say that errors stay; no other source says when "
        "they are cleared.",
        "a `value_error` stays when a vendor writes a value",
        ("effects.old_error",),
    ),
    Reading(
        "usage_processed",
        "The status of a usage file that was processed without errors",
        {
            "ready": "The file is ready.",
            "uploaded": "The file is uploaded.",
        },
        "The published state machine and clients until 2024 have ready, CloudBlue's agent-skills "
        "of June 2026 uploaded.",
        "an upload without errors ends in `ready`",
    ),
    Reading(
        "action_status",
        "The response to an action",
        {
            "documented": "200 with the object, or 204 where the OpenAPI document says so.",
            "200": "Every action responds 200 with the object.",
            "204": "Every action responds 204 without a body.",
        },
        "The OpenAPI document has 204 for some actions, and for listing requests 200 without a "
        "body; published clients read the object.",
        "`assign`, `unassign`, `fail`, `inquire`, `pend` return 204",
        _PROCESSED,
    ),
    Reading(
        "default_page",
        "How many objects a list has without a limit",
        {
            "100": "A list without a limit has at most 100 objects.",
            "10": "A list without a limit has at most 10 objects.",
        },
        "No source; the portal's lists have 10 rows, published clients ask for 100.",
        "default page 100",
        ("effects.all_pending",),
    ),
    Reading(
        "invalid_limit",
        "What a limit or an offset that is no number does",
        {
            "refused": "It is refused: 400 VAL_001.",
            "ignored": "The default is used instead.",
        },
        "Published programs found it refused; CloudBlue's open-source library takes the default.",
        "`limit` and `offset` that aren't whole numbers",
        _PROCESSED,
    ),
    Reading(
        "date_precision",
        "Whether dates of the API have microseconds",
        {
            "seconds": "Dates have whole seconds.",
            "microseconds": "Dates that are stored from now on have microseconds.",
        },
        "Captured objects have whole seconds, those of billing requests microseconds.",
        "dates of the API have whole seconds",
        _PROCESSED,
    ),
    Reading(
        "key_order",
        "The order of keys in JSON",
        {
            "documented": "Keys come in the order of the documentation.",
            "reversed": "Keys come in the reverse order, in payloads, tokens and the API.",
        },
        "The webhooks article's example has an order; JSON has none.",
        "body of the request: its keys",
        _SENT,
    ),
    Reading(
        "unknown_keys",
        "Keys that are not documented",
        {
            "absent": "Objects have the documented keys only.",
            "present": "Payloads, tokens and objects of the API have one more key, x_unknown.",
        },
        "Keys were added to payloads and objects from version to version of the OpenAPI document.",
        "body of the request: its keys",
        _SENT,
    ),
)
BY_ID: Mapping[str, Reading] = {reading.id: reading for reading in READINGS}


def parse_choice(text: str, *, back: bool = False) -> tuple[str, str]:
    """Return the id and the alternative of `id=alternative`; raises ValueError with a sentence.

    With `back`, an empty alternative is one, too.
    """
    name, equals, alternative = text.partition("=")
    reading = BY_ID.get(name)
    if reading is None:
        raise ValueError(f"There is no reading {name[:40]!r}.{did_you_mean(name, BY_ID)}")
    words = [*reading.alternatives, *([""] if back else [])]
    if not equals or alternative not in words:
        raise ValueError(
            f"{name} needs one of its alternatives: "
            f"{', '.join(f'{name}={word}' for word in reading.alternatives)}."
        )
    return name, alternative
