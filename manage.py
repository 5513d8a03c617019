#!/usr/bin/env python
"""Entry to Django's management commands; see `python manage.py help`."""

from connect_sim.cli.django_commands import main

if __name__ == "__main__":
    main()
