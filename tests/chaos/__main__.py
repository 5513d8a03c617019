"""`python -m tests.chaos`: see `tests.chaos.program`."""

import os
import sys

import django

from tests import environment

if __name__ == "__main__":
    # Helpers of the tests import models, with the settings of tests.
    os.environ["DJANGO_SETTINGS_MODULE"] = "connect_sim.settings"
    assert environment.RUN in os.environ
    django.setup()
    from tests.chaos import program

    sys.exit(program.main())
