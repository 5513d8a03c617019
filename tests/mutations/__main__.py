"""`python -m tests.mutations`: see `tests.mutations.runner`."""

import sys

from tests.mutations import runner

if __name__ == "__main__":
    sys.exit(runner.main())
