"""Check that llms.txt lists the users' pages as docs/README.md does.

Exits with 1 if it differs; with `--write`, writes it. A part of `make lint`.
"""

from __future__ import annotations

import sys
from pathlib import Path

# Also when it is run as a script.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sandbox import documentation
from tools import project


def main() -> None:
    """Check the file, or write it."""
    options = project.parser(__doc__).parse_args()
    files = {Path("llms.txt"): documentation.llms_text("docs/")}
    project.check(project.ROOT, files, "tools/llms.py", write=options.write)


if __name__ == "__main__":
    main()
