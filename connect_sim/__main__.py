"""`python -m connect_sim`: the program `connect-sim`."""

from connect_sim.cli import main

if __name__ == "__main__":
    main()
