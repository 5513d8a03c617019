"""Run the reference handler, or a variant: `python tests/checks/handlers [VARIANT]`.

The environment is that of `connect-sim check --run`.
"""

import os
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[3])

from tests.checks.handlers import lookups  # noqa: E402

if __name__ == "__main__":
    name = sys.argv[1] if len(sys.argv) > 1 else lookups.REFERENCE
    lookups.find(name)(os.environ).serve()
