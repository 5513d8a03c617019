"""An image without Docker: what its Dockerfile copies, sets and runs, in a folder of a test.

It knows the instructions and patterns that our files use, and fails for others. Of the RUN
instructions only compiling and links have an equivalent here: the packages are those of the tests'
own environment.
"""

from __future__ import annotations

import compileall
import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tests.processes import ROOT

_IGNORED_KEYWORDS = ("LABEL", "EXPOSE", "USER", "RUN")


@dataclass
class Stage:
    """A target of a Dockerfile, with everything of the stages that it is built on."""

    name: str
    copies: list[tuple[str, str]] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    entry: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    probe: list[str] = field(default_factory=list)
    # Links that RUN makes: name to target.
    links: dict[str, str] = field(default_factory=dict)
    user: str = "root"

    def _read(self, keyword: str, rest: str) -> None:
        match keyword:
            case "COPY":
                *sources, target = shlex.split(rest)
                into = len(sources) > 1 or target.endswith("/")
                for source in sources:
                    name = PurePosixPath(target, source if into else "")
                    self.copies.append((source, str(PurePosixPath(self.folder, name))))
            case "ENV":
                self.variables |= dict(part.split("=", 1) for part in shlex.split(rest))
            case "WORKDIR":
                self.folder = rest
            case "ENTRYPOINT":
                # As Docker does: a CMD of the base is not that of this program.
                self.entry, self.command = json.loads(rest), []
            case "CMD":
                self.command = json.loads(rest)
            case "HEALTHCHECK":
                self.probe = json.loads(rest.partition(" CMD ")[2])
            case "USER":
                self.user = rest
            case "RUN":
                self.links |= {n: t for t, n in re.findall(r"ln -s (\S+) (\S+)", rest)}
            case _:
                assert keyword in _IGNORED_KEYWORDS, f"tests/image.py does not know {keyword}"


def stages(path: Path = ROOT / "Dockerfile") -> dict[str, Stage]:
    """Return the stages by name; the last one is the default target."""
    result: dict[str, Stage] = {}
    stage = Stage("")
    for keyword, rest in _instructions(path.read_text()):
        if keyword == "FROM":
            base, _, name = rest.partition(" AS ")
            known = result.get(base, Stage(base))
            stage = Stage(
                name,
                [*known.copies],
                dict(known.variables),
                known.folder,
                [*known.entry],
                [*known.command],
                [*known.probe],
                dict(known.links),
                known.user,
            )
            result[name] = stage
        else:
            stage._read(keyword, rest)
    return result


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        keyword, _, rest = line.partition(" ")
        yield keyword, rest.strip()


def is_in_context(path: str, patterns: Path = ROOT / ".dockerignore") -> bool:
    """Return whether Docker sends a file of the folder to the build, by .dockerignore.

    The last pattern that matches the file, or a folder that it is in, decides.
    """
    parts = PurePosixPath(path).parts
    ends = ["/".join(parts[: n + 1]) for n in range(len(parts))]
    result = True
    for line in patterns.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        regex = _regex(line.removeprefix("!"))
        if any(regex.fullmatch(end) for end in ends):
            result = line.startswith("!")
    return result


def _regex(pattern: str) -> re.Pattern[str]:
    text = re.escape(pattern).replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*")
    return re.compile(text)


@dataclass
class Container:
    """A folder in place of a container's file system, and the variables of its processes."""

    root: Path
    stage: Stage
    given: dict[str, str]

    @property
    def env(self) -> dict[str, str]:
        own = {name: self.inside(value) for name, value in self.stage.variables.items()}
        path = f"{self.root}/usr/local/bin:/usr/bin:/bin"
        return {"PATH": path, "HOME": f"{self.root}/home", **own, **self.given}

    @property
    def folder(self) -> Path:
        return self.root / self.stage.folder.lstrip("/")

    @property
    def data_dir(self) -> Path:
        return self.root / "data"

    def inside(self, text: str) -> str:
        """Return a text with the container's folders /app and /data replaced by ours."""
        return re.sub(r"(^|(?<=[\s=:]))/(app|data)(?=$|[/:\s])", rf"{self.root}/\2", text)

    def resolve(self, command: list[str]) -> list[str]:
        """Return a command line with its program found on the container's PATH."""
        program = shutil.which(command[0], path=self.env["PATH"])
        assert program is not None, f"{command[0]} is not in the image"
        return [program, *map(self.inside, command[1:])]


def build(stage: Stage, root: Path, **given: str) -> Container:
    """Copy what the stage copies into a folder; `given` are variables as of `docker run -e`."""
    for source, target in stage.copies:
        for name in _files(source):
            rest = PurePosixPath(name).relative_to(source)
            copy = root / target.lstrip("/") / rest
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy)
    compileall.compile_dir(root / stage.folder.lstrip("/"), quiet=2)
    for name in ("data", "home", "usr/local/bin"):
        (root / name).mkdir(parents=True)
    container = Container(root, stage, given)
    for name, target in stage.links.items():
        (root / name.lstrip("/")).symlink_to(container.inside(target))
    # Not a link, from which Python would not find the packages of its environment.
    python = root / "usr/local/bin/python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    return container


def _files(source: str) -> list[str]:
    """Return the files of a COPY source that are in the context, relative to the checkout."""
    path = ROOT / source
    names = (
        [
            str((Path(folder) / name).relative_to(ROOT))
            for folder, _, files in os.walk(path)
            for name in files
        ]
        if path.is_dir()
        else [source]
    )
    found = [name for name in names if is_in_context(name)]
    assert found, f"the Dockerfile copies {source}, which does not exist or is ignored"
    return found
