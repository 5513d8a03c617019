"""The tests of the queues and of delivery, once more on PostgreSQL.

Django has one database per process, so these are runs of pytest in child processes. The files are
dealt out to several of them, which run at the same time on different workers.

`make test` runs a sample, of the files whose SQL differs a larger one, `make nightly` all of them.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lanes import commit
from tests.postgres_server import postgres_database
from tests.processes import ROOT

FOLDERS = ("tests/queue", "tests/webhooks")
MORE = [
    "tests/runtime/postgres_unavailable.py",
    # Plans of its raw SQL.
    "tests/metrics/test_database_metrics.py",
    # Order of the timeline beside concurrent transactions, and threads that wait for commits.
    "tests/sandbox/test_timeline.py",
    "tests/sandbox/test_timeline_commits.py",
    "tests/sandbox/test_waits.py",
    "tests/sandbox/test_terminal.py",
    "tests/sandbox/test_deliveries_api.py",
    # Raw SQL that stores and links API calls, and flushes beside other transactions.
    "tests/sandbox/test_activity.py",
    "tests/sandbox/test_api_calls.py",
    "tests/sandbox/test_attempt_links.py",
    "tests/sandbox/test_call_order.py",
    "tests/sandbox/test_call_recorder.py",
    "tests/sandbox/test_observing_calls.py",
    "tests/sandbox/test_prepared_calls.py",
    "tests/sandbox/test_repeated_secrets.py",
    # Schemas, locks and copies of tables.
    "tests/sandbox/test_reset.py",
    "tests/sandbox/test_reset_engines.py",
    "tests/sandbox/test_replacement_locks.py",
    "tests/sandbox/test_replacements_elsewhere.py",
    "tests/sandbox/check_runs/test_runs.py",
    "tests/sandbox/test_holds.py",
    "tests/sandbox/test_lease.py",
    "tests/sandbox/test_clock_api.py",
    "tests/sandbox/test_clock_state.py",
    "tests/sandbox/test_settling.py",
    # The lock of a key's row, and an advisory lock.
    "tests/contract/test_keys.py",
    "tests/runtime/test_first_administrator.py",
    # Pages that search, count by minute or page through long lists.
    *(
        f"tests/portal/test_{name}.py"
        for name in (
            "deliveries_bulk",
            "deliveries_chart",
            "deliveries_export",
            "deliveries_indexes",
            "deliveries_log",
            "deliveries_search",
            "home_page",
            "queues_pages",
            "removed_deliveries",
            "sign_in_limits",
            "webhooks_list",
        )
    ),
]
# Run without a database, with both of them, or test what only SQLite has.
WITHOUT_DATABASE = {
    "admin_validation",
    "client_connections",
    "client_hostile",
    "client_memory",
    "client_wire",
    "compressed_text",
    "counts",
    "database_errors",
    "redact_migration",
    "responds_migration",
    "types",
    "validation_failures",
    "validator_docs",
}
# Reads and writes of the ORM, checks of input and representations: plain SQL, which is the same on
# both databases. `make test` runs here only the tests under SAMPLES; `make nightly` runs them all.
PLAIN_SQL = {
    # All actions and admin pages by every actor: `test_walks` has the same SQL.
    "actions",
    "admin_isolation",
    # Reads and writes of one row at a time, and errors of invalid input.
    "action_links",
    "agreements",
    "api_urls",
    "body",
    "catalog_api",
    "conversations",
    "creation",
    "directory",
    "editing",
    "hub_writes",
    "media",
    "older_calls",
    "product_writes",
    "reencryption",
    # Keys, and the first administrator: locks are samples.
    "keys",
    "first_administrator",
    "tier_account_writes",
    "tier_input",
    "webhook_fields",
    # Rules of one queue: actions lock their rows with the code that `test_walks` runs.
    "billing",
    "cascades",
    "fulfillment",
    "listing",
    "tier_account",
    "tier_config",
    "tier_config_api",
    "usage_file",
    "usage_parts",
    # Spreadsheets and texts, computed in Python.
    "preview",
    "shown_templates",
    "usage_memory",
    "usage_processing",
    # The servers of tests/runtime have the demo data in PostgreSQL.
    "seed",
    # What is sent to validators and merged: the property test has the same SQL.
    "validation",
    # Pages: their lists, searches and counts are samples.
    "admin",
    "home_page",
    "queues_pages",
    "sign_in_limits",
    # Moves of the clock with a running engine, whose claims and flushes the other files test.
    "clock_moves",
    # Errors of invalid values, whose comparison is a sample.
    "unique_values",
    # Responses of the sandbox that are computed from rows. Waits, locks and copies are samples.
    "clock_api",
    "clock_state",
    "reset",
    "settling",
    "waits",
    # SQLite's own errors.
    "sqlite_outages",
}
# Tests of these files with SQL that may differ, and one of each kind of plain SQL.
SAMPLES = {
    "tests/contract/test_keys.py": [
        "test_later_use_that_another_process_stored_remains",
        "test_request_succeeds_while_another_transaction_holds_the_key",
    ],
    "tests/queue/test_reencryption.py": [
        "test_command_reencrypts_all_rows_with_the_first_key",
        "test_edit_between_read_and_update_is_kept",
    ],
    "tests/runtime/test_first_administrator.py": [
        "test_one_of_two_concurrent_commands_creates_the_administrator",
    ],
    "tests/portal/test_home_page.py": ["test_last_hour_counts_attempts_by_outcome"],
    "tests/portal/test_queues_pages.py": [
        "test_index_counts_objects_by_status",
        "test_objects_are_filtered_and_searched",
    ],
    "tests/portal/test_sign_in_limits.py": [
        "test_concurrent_attempts_are_limited",
        "test_failures_expire_after_ten_minutes",
        "test_old_rows_are_deleted",
        "test_sixth_attempt_is_refused_for_a_minute",
    ],
    "tests/queue/test_admin.py": [
        "test_list_action_changes_the_objects_that_allow_it",
        "test_objects_that_requests_refer_to_cannot_be_deleted",
        "test_search_and_filters",
    ],
    "tests/queue/test_billing.py": [
        "test_date_at_the_end_of_the_range_stops_no_other",
        "test_periods_are_billed_in_order",
        "test_request_filters",
    ],
    "tests/queue/test_cascades.py": [
        "test_closing_the_last_record_closes_the_file",
        "test_orders_wait_for_the_setup_of_a_reseller",
        "test_released_order_may_become_inquiring",
        "test_scheduled_work_changes_objects_when_due",
    ],
    "tests/queue/test_catalog_api.py": [
        "TestObjects::test_scopes_of_a_tier_account_follow_from_assets"
    ],
    "tests/queue/test_creation.py": ["test_usage_file_creates_an_event"],
    "tests/queue/test_directory.py": ["TestConfigurations::test_configuration_filters"],
    "tests/queue/test_fulfillment.py": [
        "test_repeated_order_returns_409_with_the_existing_request",
        "test_scheduled_request_becomes_pending_at_its_planned_date",
        "test_stale_drafts_are_deleted_with_their_assets",
    ],
    "tests/queue/test_listing.py": ["test_listing_filters"],
    "tests/queue/test_product_writes.py": [
        "TestProduct::test_disabled_capability_matches_no_filter"
    ],
    "tests/queue/test_seed.py": [
        "test_rows_that_a_user_deleted_are_restored",
        "test_second_seed_changes_no_row",
    ],
    "tests/queue/test_tier_account.py": ["test_request_filters"],
    "tests/queue/test_tier_account_writes.py": [
        "TestTierAccountWrites::test_unchanged_values_create_no_version"
    ],
    "tests/queue/test_tier_config.py": [
        "TestDue::test_stale_drafts_are_deleted_with_their_configurations",
        "TestWaitingOrders::test_approval_releases_all_waiting_orders",
    ],
    "tests/queue/test_tier_config_api.py": ["TestFilters::test_order_and_select"],
    "tests/queue/test_usage_file.py": [
        "test_closing_the_last_record_closes_the_file",
        "test_record_filters",
    ],
    "tests/queue/test_usage_parts.py": [
        "TestAggregates::test_aggregates_are_filtered_and_paged",
        "TestAggregates::test_usage_is_summed_by_item_and_subscription",
        "TestChunks::test_accepted_file_is_split_by_hub",
        "TestChunks::test_closing_a_chunk_closes_its_records_and_the_file",
    ],
    "tests/queue/test_usage_processing.py": [
        "test_lost_task_is_published_again_and_lost_worker_replaced",
        "test_task_is_published_after_the_commit",
        "test_worker_without_claim_deletes_nothing",
    ],
    "tests/queue/test_validation.py": [
        "TestConcurrentChanges::test_draft_deleted_during_the_call_returns_404",
        "TestConcurrentChanges::test_purchase_during_the_call_wins",
        "TestConcurrentChanges::test_put_during_the_call_is_kept",
    ],
    "tests/queue/test_unique_values.py": [
        "TestChanges::test_a_put_is_refused_and_changes_nothing",
        "TestOrders::test_any_text_is_compared",
        "TestStructures::test_structured_values_are_compared",
    ],
    "tests/sandbox/test_clock_api.py": [
        "test_move_is_refused_during_another_one",
        "test_run_until_idle_runs_all_retries_until_out_of_order",
    ],
    "tests/sandbox/test_clock_state.py": [
        "test_date_is_that_of_a_move_that_another_connection_has_committed",
    ],
    "tests/sandbox/test_settling.py": ["test_move_is_woken_by_the_timeline"],
    "tests/sandbox/test_reset.py": [
        "TestFailures::test_killed_process",
        "TestFailures::test_locked_database",
        "TestRestore::test_goes_back_to_the_snapshot",
        "test_ids_are_never_used_twice",
        "test_reset_restores_every_table",
    ],
    "tests/sandbox/test_waits.py": [
        "test_database_that_is_away_for_a_while_ends_no_wait",
        "test_delivered_is_woken_by_the_delivery",
        "test_skip_runs_to_the_third_retry_and_no_further",
        "test_two_skipping_waits_share_one_mover",
    ],
    "tests/webhooks/test_admin.py": [
        "test_delete_page_counts_deleted_objects",
        "test_search_and_filters",
    ],
    "tests/webhooks/test_clock_moves.py": [
        "test_cleanup_keeps_move_that_has_just_begun",
        "test_concurrent_move_is_refused",
        "test_lease_of_move_uses_database_clock",
        "test_move_of_killed_process_ends_with_its_lease",
        "test_move_renews_its_lease",
        "test_pending_deliveries_are_sent_when_backoff_ends",
    ],
    "tests/webhooks/test_validation.py": [
        "test_connection_is_closed_before_the_request",
        "test_deleted_during_validation",
        "test_edited_during_validation",
        "test_no_transaction_or_connection_is_held_during_the_request",
        "test_success_is_counted_and_merged",
        "test_two_validators_run_concurrently_and_merge_in_order",
    ],
}
# Locks, transactions of several connections, plans of raw SQL: what differs between databases.
DIFFERENT = {
    "api_calls",
    "attempt_links",
    "billing_races",
    "clock_moves",
    "concurrency",
    "database_metrics",
    "delivery_property",
    "deletion",
    "first_administrator",
    "flush",
    "keys",
    "lock_order",
    "lost_workers",
    "postgres_unavailable",
    "product_writes_races",
    "races",
    "reset",
    "reset_engines",
    "retention",
    "selection",
    "stopped_process",
    "tier_account_races",
    "tier_config_races",
    "timeline",
    "timeline_commits",
    "unique_values_races",
    "usage_races",
    "validation_concurrency",
}
# Of those files and samples, and of all others, one in so many runs in `make test`, drawn by the
# commit.
SHARE_OF_DIFFERENT, SHARE = 2, 8
# Each part starts Django and migrates a database. The nightly run has more tests.
PARTS, NIGHTLY_PARTS = 1, 4


def _files(without: set[str]) -> list[str]:
    """Return the files to run, without some, the largest first."""
    paths = [path for folder in FOLDERS for path in (ROOT / folder).glob("test_*.py")]
    paths += [ROOT / name for name in MORE]
    paths = [path for path in paths if path.stem.removeprefix("test_") not in without]
    return [str(path.relative_to(ROOT)) for path in sorted(paths, key=_size, reverse=True)]


def _size(path: Path) -> int:
    return path.stat().st_size


def _is_drawn(test: str) -> bool:
    stem = Path(test.partition("::")[0]).stem.removeprefix("test_")
    share = SHARE_OF_DIFFERENT if stem in DIFFERENT else SHARE
    return random.Random(f"{test} {commit()}").randrange(share) == 0


def _run(tests: list[str], *options: str) -> None:
    with postgres_database() as database:
        result = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *options, *tests],
            cwd=ROOT,
            env={**os.environ, "SIM_TEST_DATABASE_URL": database},
            capture_output=True,
            text=True,
        )  # fmt: skip
    assert result.returncode == 0, result.stdout[-20000:]
    assert " passed" in result.stdout


@pytest.mark.postgres
@pytest.mark.parametrize("part", range(PARTS))
def test_queues_and_delivery_behave_the_same_on_postgres(part: int) -> None:
    samples = [f"{path}::{name}" for path, names in SAMPLES.items() for name in names]
    tests = list(filter(_is_drawn, [*_files(WITHOUT_DATABASE | PLAIN_SQL), *samples]))
    _run(tests[part::PARTS], "--hypothesis-profile=sample")


@pytest.mark.nightly
@pytest.mark.postgres
@pytest.mark.parametrize("part", range(NIGHTLY_PARTS))
def test_all_of_queues_and_delivery_behave_the_same_on_postgres(part: int) -> None:
    _run(_files(WITHOUT_DATABASE)[part::NIGHTLY_PARTS], "--no-draw")


def test_files_that_are_left_out_exist() -> None:
    stems = {Path(name).stem for name in _files(set())}
    assert {f"test_{name}" for name in WITHOUT_DATABASE | PLAIN_SQL} <= stems
    assert {stem.removeprefix("test_") for stem in stems} >= DIFFERENT


def test_samples_are_tests_of_files_that_are_left_out() -> None:
    for path, names in SAMPLES.items():
        text = (ROOT / path).read_text()
        parts = {part for name in names for part in name.split("::")}
        missing = [part for part in parts if not re.search(rf"(def|class) {part}\b", text)]
        assert not missing, path
    stems = {Path(path).stem for path in SAMPLES}
    assert stems <= {f"test_{name}" for name in PLAIN_SQL}
