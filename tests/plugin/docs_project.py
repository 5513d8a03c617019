"""The project of docs/test-with-pytest.md, as files."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from tests.processes import ROOT

PAGE = ROOT / "docs" / "test-with-pytest.md"


def write(folder: Path) -> Path:
    """Write the files of the page into a folder, and its snippets as further tests."""
    text = PAGE.read_text()
    blocks = re.findall(r"^```python (\S+)\n(.*?)^```$", text, re.M | re.S)
    assert [name for name, _ in blocks] == ["conftest.py", "handler.py", "test_handler.py"]
    for name, block in blocks:
        (folder / name).write_text(block)
    snippets = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    tests = [block if block.startswith("def ") else _as_test(block) for block in snippets]
    assert len(tests) == 2
    (folder / "test_snippets.py").write_text("\n\n".join(tests))
    return folder


def _as_test(snippet: str) -> str:
    return f"def test_snippet(connect_sim):\n{textwrap.indent(snippet, '    ')}"
