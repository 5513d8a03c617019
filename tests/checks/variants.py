"""The matrix: which checks each broken handler must fail, and which fail because of those.

Only this table knows both the names of handlers and the ids of checks.
"""

from __future__ import annotations

from typing import NamedTuple

# Checks whose control fails are skipped.
_NOT_JUDGED = "nothing is judged without a control that passes"
_EVERY_CALL = "each call of the platform has this property"
# Forged requests of all kinds are sent there.
_ALL_FORGED = "effects.forged_none"


class Variant(NamedTuple):
    """A broken handler: ids that must fail, and globs of those that may fail, with the reason.

    One without ids that must fail is right, although it looks broken.

    A check that is skipped because its control has failed counts as failed, too. One that needs
    `--deep` fails only there.
    `ends_run` is what the error of the run must contain, if the checks cannot be run at all.
    """

    name: str
    breaks: tuple[str, ...]
    follows: tuple[str, ...] = ()
    reason: str = ""
    ends_run: str = ""
    # A validator without defects; one that is broken is known by the checks that it fails.
    is_right_validator: bool = False
    # Of one that is right: what it might be accused of.
    suspected: tuple[str, ...] = ()

    @property
    def may_fail(self) -> tuple[str, ...]:
        """Return globs of what may fail because of what must."""
        is_about_tokens = any(id.startswith(("auth.", "token.")) for id in self.breaks)
        return (*self.follows, _ALL_FORGED) if is_about_tokens else self.follows

    @property
    def is_validator(self) -> bool:
        """Return whether its validator is what is checked."""
        return self.is_right_validator or any(id.startswith("validator.") for id in self.breaks)


VARIANTS: tuple[Variant, ...] = (
    # Nothing works.
    Variant("rejects_everything", ("auth.control", "token.control", "payload.control",
            "delivery.control", "speed.control", "effects.control", "race.control",
            "crash.control", "client.control", "retry.control", "turn.control", "deploy.control"),
            ("*",), _NOT_JUDGED),
    Variant("does_nothing", ("auth.control",), ("*",), _NOT_JUDGED),
    Variant("never_answers", ("auth.control",), ("*",), _NOT_JUDGED),
    Variant("dies_at_the_first_call", ("auth.control",), ("*",), _NOT_JUDGED),
    Variant("answers_garbage", ("auth.get",), ("*",), "no response is valid"),
    Variant("fills_nothing", ("auth.control",), ("*",), _NOT_JUDGED),
    Variant("does_not_start", (), ends_run="ended"),
    Variant("never_listens", (), ends_run="within"),
    Variant("floods_its_output", (), suspected=("speed.seconds_5", "delivery.twice")),
    # Who may call.
    Variant("rejects_get", ("auth.get",)),
    Variant("rejects_two_headers", ("auth.both_headers",), ("*",), _EVERY_CALL),
    Variant("reads_authorization_only", ("auth.authentication_only",), ("auth.headers_disagree",),
            "the header that it reads is genuine"),
    Variant("reads_authentication_only", ("auth.authorization_only",)),
    Variant("accepts_calls_without_token", ("auth.no_header",)),
    Variant("works_for_any_get", ("auth.no_header", "auth.other_secret")),
    Variant("accepts_empty_header", ("auth.empty_header",)),
    Variant("accepts_garbage", ("auth.garbage",)),
    Variant("accepts_any_signature", ("auth.other_secret",),
            ("auth.other_webhook", "auth.headers_disagree", "retry.rotated_secret"),
            "the tokens differ in the secret only"),
    Variant("accepts_tokens_without_signature", ("auth.no_signature",)),
    Variant("accepts_alg_none", ("auth.alg_none",)),
    Variant("accepts_alg_none_in_capitals", ("auth.alg_none",)),
    Variant("accepts_hs512", ("auth.hs512",)),
    Variant("ignores_the_algorithm", ("auth.rs256_with_secret",)),
    Variant("trusts_the_embedded_key", ("auth.rs256_key_confusion",)),
    Variant("takes_the_secret_of_the_named_webhook", ("auth.other_webhook",)),
    Variant("processes_its_product_for_any_token", ("auth.other_product",)),
    Variant("accepts_either_header", ("auth.headers_disagree",)),
    Variant("fails_on_whitespace", ("auth.trailing_whitespace",)),
    # What the token says.
    Variant("remembers_verified_tokens", ("token.expired_meanwhile",)),
    Variant("allows_a_minute_more", ("token.expired_second",)),
    Variant("allows_ten_minutes_more", ("token.expired_second", "token.expired_six_minutes")),
    Variant("ignores_the_end", ("token.expired_second", "token.expired_six_minutes",
            "token.expired_hour")),
    Variant("allows_tokens_without_end", ("token.missing_exp",)),
    Variant("accepts_a_text_as_end", ("token.textual_exp",)),
    Variant("repeats_the_work_of_a_token", ("token.replay", "delivery.late_duplicate"),
            ("delivery.*", "crash.*", "effects.approved_once", "effects.one_run",
            "retry.rotated_secret", "turn.*", "deploy.*"),
            "these repeat a call with its token, or call twice in one second, with the same token"),
    Variant("rejects_unknown_claims", ("token.unknown_claims",), ("payload.unknown_keys",),
            "the token has the further keys of the body there"),
    Variant("trusts_the_body", ("token.claims_against_body",)),
    Variant("rejects_tokens_for_years", ("token.far_exp",)),
    # The body.
    Variant("fails_on_unicode", ("payload.unicode",)),
    Variant("fails_on_nested_data", ("payload.nested_data",)),
    Variant("needs_data", ("payload.empty_data",), ("*",), _EVERY_CALL),
    Variant("rejects_unknown_keys", ("payload.unknown_keys",)),
    Variant("misreads_dates", ("payload.null_dates",),
            ("retry.*", "client.*", "crash.*", "deploy.*"),
            "after a failed attempt, each call has such a date"),
    Variant("needs_a_length", ("payload.chunked",)),
    Variant("rejects_large_bodies", ("payload.large_body",)),
    Variant("insists_on_the_content_type", ("payload.wrong_content_type",)),
    Variant("fails_on_broken_json", ("payload.broken_json",)),
    Variant("dies_of_broken_json", ("payload.broken_json",)),
    Variant("needs_a_body", ("payload.empty_body",)),
    # How calls come.
    Variant("repeats_approvals", ("effects.one_run",)),
    Variant("provisions_with_each_call", ("delivery.twice",), ("*",),
            "each approval is a queue change, so it is called twice about each order"),
    Variant("approves_without_lock", ("effects.one_run",), ("speed.*",),
            "the response waits for the work"),
    Variant("reads_again_without_lock", ("effects.one_run",), ("speed.*",),
            "the response waits for the work"),
    Variant("provisions_without_lock", ("delivery.twice_at_once", "effects.approved_once",
            "race.same_request", "race.stale_read"),
            ("delivery.*", "speed.*", "crash.*", "effects.one_run", "turn.*", "deploy.*"),
            "calls overlap there too, and the response waits for the work"),
    Variant("provisions_after_a_second_look", ("race.stale_read", "race.same_request"),
            ("delivery.*", "speed.*", "effects.approved_once", "effects.one_run", "turn.*",
            "deploy.*"), "calls overlap there too"),
    Variant("fails_in_a_burst", ("delivery.burst",), ("speed.connections_100",),
            "these are many calls at once, too"),
    Variant("fails_at_four_calls", ("delivery.burst_10", "delivery.burst"),
            ("speed.connections_100",), "these are many calls at once, too"),
    Variant("forgets_failed_orders", ("delivery.after_own_error",), ("crash.*", "deploy.*"),
            "the error comes after it has begun with the order"),
    Variant("ignores_older_calls", ("delivery.out_of_order",), ("crash.*", "deploy.*"),
            "each of its runs begins at the same time again"),
    Variant("fails_without_work", ("delivery.finished_object",), ("*",),
            "each approval is a queue change, after which nothing is pending"),
    # Time and connections.
    Variant("answers_after_forty_seconds", ("speed.timeout_30s", "speed.seconds_5"),
            ("speed.*", "turn.*", "deploy.*"), "it waits for the work"),
    Variant("answers_after_six_seconds", ("speed.seconds_5", "speed.pending_5000"),
            ("speed.*", "turn.*", "deploy.*"), "it waits for the work"),
    Variant("accepts_and_works_later", (),
            suspected=("speed.early_response", "speed.seconds_5", "delivery.twice_at_once")),
    Variant("answers_when_done", ("speed.early_response",), ("speed.pending_5000",),
            "it waits for the work"),
    Variant("breaks_kept_connections", ("speed.keep_alive",), ("speed.keep_alive_refused",),
            "the second request is genuine there, too"),
    Variant("closes_connections", (), suspected=("speed.keep_alive", "delivery.twice")),
    Variant("leaves_refused_bodies", ("speed.keep_alive_refused",)),
    Variant("serves_one_connection_at_a_time", ("speed.connections_100",), ("*",),
            "a connection that the platform keeps open makes all others wait"),
    Variant("drops_connections", ("speed.connections_100",), ("delivery.burst",),
            "these are many calls at once, too"),
    # What is done.
    Variant("works_before_checking_the_token", ("effects.forged_none",), ("auth.*", "token.*",
            "retry.rotated_secret"), "these are forged calls, too"),
    Variant("approves_twice", ("effects.one_run",)),
    Variant("reads_first_page_only", ("effects.all_pending",), ("speed.*",),
            "these have more than a page of orders"),
    Variant("processes_one_order_per_call", ("effects.all_pending",), ("*",),
            "a call about several orders leaves all but one"),
    Variant("abandons_the_rest_after_a_refusal", ("effects.approved_elsewhere",)),
    Variant("dies_of_a_refusal", ("effects.approved_elsewhere",), ("*",),
            "it also ends by work that a restore of the sandbox has overtaken"),
    Variant("asks_for_newer_orders_only", ("effects.older_order",), ("*",),
            "between checks the clock goes back, so new orders look older than what it has seen"),
    Variant("inquires_for_old_errors", ("effects.old_error",)),
    Variant("processes_purchases_only", ("effects.other_types", "turn.cancel", "turn.change")),
    Variant("writes_names_in_latin1", ("effects.customer_names",)),
    Variant("approves_all_products", ("effects.other_product",), ("*",),
            "orders of other products are pending everywhere, some of which it cannot approve"),
    Variant("asks_before_approving", ("effects.history_clean",), ("*",),
            "it is so for each order"),
    Variant("changes_its_values", ("effects.history_clean",), ("*",), "it is so for each order"),
    # Crashes.
    Variant("gives_up_after_any_error", ("crash.api_500", "crash.api_429", "crash.api_reset",
            "crash.lost_response", "client.resumes", "client.refused_key",
            "deploy.platform_away"),
            ("delivery.after_own_error",),
            "its own error is one of the API"),
    Variant("gives_up_on_server_errors", ("crash.api_500", "client.resumes",
            "deploy.platform_away"), ("delivery.after_own_error",),
            "its own error is one of the API"),
    Variant("gives_up_when_throttled", ("crash.api_429",)),
    Variant("gives_up_when_forbidden", ("client.refused_key",)),
    Variant("gives_up_on_resets", ("crash.api_reset", "crash.lost_response")),
    Variant("sends_another_value_after_a_lost_response", ("crash.lost_response",)),
    Variant("fills_parameters_in_each_run", ("crash.lost_response",),
            ("crash.*", "race.*", "effects.history_clean", "turn.*", "deploy.*"),
            "these are second runs, too"),
    Variant("refuses_all_after_a_lost_approval", ("crash.api_reset", "crash.lost_response")),
    Variant("stops_after_a_lost_approval", ("crash.api_reset", "crash.lost_response")),
    Variant("takes_filled_orders_as_done", ("effects.history_clean", "effects.other_types"),
            ("crash.*", "client.*", "turn.cancel", "turn.change", "deploy.*"),
            "an order that a run has filled is not approved by the next, nor one that changes a "
            "subscription"),
    Variant("keeps_its_work_in_memory", ("crash.killed", "deploy.sigterm")),
    Variant("hammers_a_failing_api", ("client.no_hammering", "client.refused_key")),
    Variant("hammers_with_a_refused_key", ("client.refused_key",)),
    Variant("backs_off_silently", (),
            suspected=("client.resumes", "client.no_hammering", "client.refused_key")),
    Variant("gives_up_after_three_failures", ("client.resumes", "client.refused_key"),
            ("delivery.after_own_error", "deploy.platform_away"), "the API fails there, too"),
    Variant("reads_recent_orders_only", ("retry.after_500", "retry.out_of_order"),
            ("client.resumes", "client.refused_key", "delivery.*", "crash.*", "turn.*", "deploy.*"),
            "a retry is later than a minute"),
    Variant("keeps_its_first_secret", ("retry.rotated_secret", "deploy.old_secret")),
    # The other party's turn.
    Variant("ignores_calls_while_it_works", ("turn.answer", "turn.order_again"),
            ("*",), "calls come while it works everywhere"),
    Variant("repeats_what_is_refused", ("turn.fail",)),
    Variant("knows_subscriptions_it_has_processed",
            ("turn.cancel", "turn.change", "effects.other_types")),
    Variant("knows_external_ids_it_has_seen", ("turn.order_again", "effects.other_types"),
            ("turn.*",),
            "a restored sandbox has other orders"),
    Variant("leaves_orders_of_renamed_customers", ("turn.tier_account",)),
    Variant("stops_when_its_webhook_is_off", ("turn.webhook_off",), ("*",),
            "checks turn the webhook on and off"),
    # Deployments.
    Variant("fails_its_orders_on_sigterm", ("deploy.sigterm",), ("deploy.*",),
            "each of these ends it"),
    Variant("ignores_sigterm", ("deploy.grace",)),
    Variant("creates_under_new_names", ("deploy.beside",)),
    Variant("accepts_what_it_cannot_verify", ("deploy.old_secret",), ("*",),
            "it responds with success to whatever it refuses"),
    Variant("warms_up_for_two_seconds", ("deploy.cold_start",),
            ("crash.*", "client.*", "retry.rotated_secret", "deploy.*"), "these start it again"),
    Variant("reads_its_template_at_the_start", ("deploy.platform_late",)),
    # Without defects.
    Variant("works_in_another_process", (), suspected=("auth.get", "delivery.twice")),
    Variant("approves_in_a_batch_each_minute", (), suspected=("auth.get", "delivery.twice")),
    Variant("shares_its_port_with_another_process", (),
            suspected=("auth.get", "delivery.twice_at_once")),
    # Validation.
    Variant("finds_no_errors", ("validator.echo_errors",), ("validator.errors_cleared",),
            "an error that was never set cannot be cleared"),
    Variant("returns_nothing", ("validator.echo_errors",), ("validator.errors_cleared",),
            "an error that was never set cannot be cleared"),
    Variant("never_clears_errors", (), is_right_validator=True),
    Variant("remembers_errors", ("validator.errors_cleared",)),
    Variant("empties_unknown_parameters", ("validator.unknown_untouched",)),
    Variant("marks_unknown_parameters", ("validator.unknown_untouched",)),
    Variant("validates_for_six_seconds", ("validator.seconds_5",)),
    Variant("validates_for_forty_seconds", ("validator.timeout_30s", "validator.seconds_5"),
            ("validator.*",), "each validation but the first is so slow"),
    Variant("needs_a_domain", ("validator.empty_draft",)),
    Variant("expects_texts", ("validator.empty_draft",)),
    Variant("expects_values", ("validator.empty_draft",)),
    Variant("validates_for_any_token", ("validator.wrong_token",)),
    Variant("validates_without_token", ("validator.no_header",)),
)  # fmt: skip

BY_NAME = {variant.name: variant for variant in VARIANTS}
