"""Run the shell steps of GitHub's workflows and actions, and of GitLab's jobs, as they stand."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
_TIMEOUT = 120
# GitHub's options: of `shell: bash`, and of a step without a shell.
_SHELLS = {"bash": ("bash", "--noprofile", "--norc", "-eo", "pipefail"), None: ("bash", "-e")}


def load(text: str) -> dict[str, Any]:
    """Return a YAML document; the key `on` is not taken for a boolean, as YAML 1.1 has it."""
    document = yaml.safe_load(text)
    if True in document:
        document["on"] = document.pop(True)
    return dict(document)


@dataclass
class Scope:
    """What the expressions of a workflow or of an action refer to."""

    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)

    def evaluate(self, value: Any) -> str:
        """Return a value with its expressions replaced; fail at an unknown one."""
        return _EXPRESSION.sub(lambda match: self._value(match[1]), str(value))

    def _value(self, expression: str) -> str:
        match expression.split("."):
            case ["inputs", name]:
                return self.inputs[name]
            case ["steps", step, "outputs", name]:
                return self.outputs[step][name]
        raise AssertionError(f"unknown expression {expression}")


@dataclass
class Job:
    """A job of GitHub's: a workspace, the variables that steps have exported, what was printed.

    `actions` has the folders of actions by what `uses` names; others are recorded in `used`.
    """

    workspace: Path
    temp: Path
    env: dict[str, str]
    actions: Mapping[str, Path] = field(default_factory=dict)
    masked: set[str] = field(default_factory=set)
    used: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    printed: str = ""
    failed: bool = False

    def run(self, steps: Sequence[dict[str, Any]], scope: Scope | None = None) -> Scope:
        """Run the steps whose condition is true; return the scope with their outputs."""
        scope = scope or Scope()
        for step in steps:
            if _conditions[step.get("if", "success()")](self.failed):
                self._run_step(step, scope)
        return scope

    def _run_step(self, step: dict[str, Any], scope: Scope) -> None:
        if "run" in step:
            outputs = self._run_script(step, scope)
        else:
            outputs = self._use(step, scope)
        if "id" in step:
            scope.outputs[step["id"]] = outputs

    def _use(self, step: dict[str, Any], scope: Scope) -> dict[str, str]:
        given = {name: scope.evaluate(value) for name, value in step.get("with", {}).items()}
        folder = self.actions.get(step["uses"])
        if folder is None:
            self.used.append((step["uses"], given))
            return {}
        action = load((folder / "action.yml").read_text())
        assert given.keys() <= action["inputs"].keys(), f"{step['uses']} has no such input"
        inputs = {name: str(entry["default"]) for name, entry in action["inputs"].items()} | given
        # The conditions of an action's steps are about the steps before them in the action.
        failed_before, self.failed = self.failed, False
        inner = self.run(action["runs"]["steps"], Scope(inputs))
        has_failed, self.failed = self.failed, self.failed or failed_before
        if has_failed:
            return {}
        return {n: inner.evaluate(o["value"]) for n, o in action.get("outputs", {}).items()}

    def _run_script(self, step: dict[str, Any], scope: Scope) -> dict[str, str]:
        self.temp.mkdir(exist_ok=True)
        files = {name: self.temp / name for name in ("GITHUB_ENV", "GITHUB_OUTPUT")}
        for file in files.values():
            file.write_text("")
        script = self.temp / "step.sh"
        script.write_text(scope.evaluate(step["run"]))
        given = {name: scope.evaluate(value) for name, value in step.get("env", {}).items()}
        places = {
            "RUNNER_TEMP": str(self.temp),
            "GITHUB_WORKSPACE": str(self.workspace),
            **{n: str(file) for n, file in files.items()},
        }
        ended = subprocess.run(
            [*_SHELLS[step.get("shell")], str(script)],
            cwd=self.workspace,
            env={**self.env, **given, **places},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_TIMEOUT,
        )
        self.printed += ended.stdout
        masks = re.findall(r"^::add-mask::(.*)$", ended.stdout, re.MULTILINE)
        self.masked |= {mask.replace("%25", "%") for mask in masks}
        # GitHub reads the files also of a step that failed.
        self.failed |= ended.returncode != 0
        self.env |= _pairs(files["GITHUB_ENV"])
        return _pairs(files["GITHUB_OUTPUT"])

    @property
    def shown(self) -> str:
        """What GitHub shows: without the commands, and with masked words replaced."""
        text = re.sub(r"^::add-mask::.*\n", "", self.printed, flags=re.MULTILINE)
        for word in self.masked:
            text = text.replace(word, "***")
        return text


_conditions: Mapping[str, Callable[[bool], bool]] = {
    "success()": lambda failed: not failed,
    "failure()": lambda failed: failed,
    "always()": lambda failed: True,
}


def _pairs(file: Path) -> dict[str, str]:
    """Return the lines `name=value` of a file of GitHub's; fail at others."""
    pairs = [line.partition("=") for line in file.read_text().splitlines()]
    assert all(name and "<<" not in name and separator for name, separator, _ in pairs), pairs
    return {name: value for name, _, value in pairs}


def run_gitlab_job(job: Mapping[str, Any], folder: Path, env: Mapping[str, str]) -> str:
    """Run the script of a GitLab job as its runner does; return the output, fail if it fails."""
    ended = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", "\n".join(job["script"])],
        cwd=folder,
        env={**env, **job.get("variables", {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_TIMEOUT,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


def write_programs(folder: Path, scripts: Mapping[str, str]) -> Path:
    """Write executable scripts, by name, into a folder; return the folder."""
    folder.mkdir(exist_ok=True)
    for name, script in scripts.items():
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    return folder


def environment(programs: Path) -> dict[str, str]:
    """Return the environment of a CI machine, with these programs before those of the machine."""
    return {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(programs),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "npm_config_update_notifier": "false",
    }
