#!/usr/bin/env python
"""Entry to every command; see `python manage.py help`."""

from connect_sim.cli import main

if __name__ == "__main__":
    main()
