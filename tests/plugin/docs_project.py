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
    snippets = [block for name, block in blocks.items() if name not in files]
    tests = [block if block.startswith("def ") else _as_test(block) for block in snippets]
    assert len(tests) == 2
    (folder / "test_snippets.py").write_text("\n\n".join(tests))
    return folder


def _as_test(snippet: str) -> str:
    return f"def test_snippet(connect_sim):\n{textwrap.indent(snippet, '    ')}"
