"""`connect-sim exec`: what it refuses before it starts a sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.program import Failed, run


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("", 2, "Missing argument 'COMMAND...'"),
        ("--nonsense -- true", 2, "No such option"),
        ("--keep full -- true", 2, "--keep: full is not empty"),
        ("--keep full/file -- true", 2, "is a file"),
        ("--product none -- true", 2, "does not exist"),
        ("--product full/file -- true", 2, "full/file is neither a workbook nor JSON"),
        ("--product product.json --no-seed -- true", 2, "exclude each other"),
        ("--snapshot full/file --no-seed -- true", 2, "exclude each other"),
        ("-- no-such-program", 127, "There is no program 'no-such-program'"),
        ("no-such-program --port 1", 127, "There is no program 'no-such-program'"),
        ("-- full/none", 127, "There is no program 'full/none'"),
        ("-- full/file", 126, "full/file cannot be executed"),
        ("-- ./full", 126, "./full cannot be executed"),
        ("-- plain", 126, "plain cannot be executed"),
    ],
)
def test_refusal_is_one_line_with_the_exit_code_of_a_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("no JSON")
    (tmp_path / "product.json").write_text("{}")
    (tmp_path / "programs").mkdir()
    (tmp_path / "programs" / "plain").touch()
    monkeypatch.setenv("PATH", f"{tmp_path}/programs:/bin:/usr/bin")
    with pytest.raises(Failed) as failed:
        run("exec", *arguments.split())
    assert failed.value.code == code and message in str(failed.value)
    assert str(failed.value).startswith("Error: ") and "\n" not in str(failed.value)
