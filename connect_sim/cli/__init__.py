"""The program `connect-sim`.

Commands that only talk to a running sandbox import neither Django nor Celery: they start in a
fraction of the time that these take to import.
"""


def main() -> None:
    """Run the program; see `docs/cli.md`."""
    from connect_sim.cli import program

    program.main()
