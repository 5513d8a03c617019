"""Reset, snapshots, and what keeps others out meanwhile."""
