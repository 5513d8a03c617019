"""The project of docs/test-with-pytest.md, as files."""

from __future__ import annotations

import textwrap
from pathlib import Path

from tests import doc_blocks

PAGE = "docs/test-with-pytest.md"


def write(folder: Path) -> Path:
    """Write the files of the page into a folder, and its snippets as further tests."""
    blocks = doc_blocks.read("python", PAGE)
    files = {name: block for name, block in blocks.items() if name.endswith(".py")}
    assert [*files] == ["conftest.py", "handler.py", "test_handler.py"]
    for name, block in files.items():
        (folder / name).write_text(block)
    tests = [
        block if block.startswith("def ") else _as_test(name, block)
        for name, block in blocks.items()
        if name not in files
    ]
    assert len(tests) == 3
    (folder / "test_snippets.py").write_text("\n\n".join(tests))
    return folder


def _as_test(name: str, snippet: str) -> str:
    """Return a snippet as a test; its faults need not fire."""
    before = 'webhook = connect_sim.webhook(connect_sim.product(), "http://127.0.0.1:9/")'
    after = "connect_sim.faults.never_fired()"
    body = textwrap.indent(f"{before}\n{snippet}\n{after}\n", "    ")
    return f"def test_{name}(connect_sim):\n{body}"
