"""What only a sandbox has, beside the checks of handlers.

To be read in this order: `models`, `error_codes`, `timeline` (what happens, and what is shown of
it), `clock` (moves, and when the sandbox is settled), `waits` (for a condition), `world` (reset and
snapshots, the lease), `snapshot_files`, `faults`, `documentation`, `check_runs` (which portal,
API and agents start), `api`, `mcp` (the API for agents), `pages`. Each imports only those before.
"""

LISTEN_PORT = 9000  # of `connect-sim listen`, which pages suggest
