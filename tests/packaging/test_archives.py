"""What the wheel and the sdist have, without installing them."""

from __future__ import annotations

import tarfile
import zipfile
from email.parser import Parser
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from connect_sim import SERVER_PACKAGES, __version__
from sandbox import documentation
from tests.packaging import wheels
from tests.processes import ROOT

DIST_INFO = f"connect_sim-{__version__}.dist-info"


@pytest.fixture(scope="module")
def wheel() -> dict[str, int]:
    """The names in the wheel, with checksums."""
    with zipfile.ZipFile(wheels.built().wheel) as archive:
        return {entry.filename: entry.CRC for entry in archive.infolist()}


def sources(package: str) -> set[str]:
    paths = (ROOT / package).rglob("*")
    return {
        str(path.relative_to(ROOT))
        for path in paths
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_only_one_name_is_installed_at_the_top(wheel: dict[str, int]) -> None:
    assert {name.partition("/")[0] for name in wheel} == {"connect_sim", DIST_INFO}


@pytest.mark.parametrize("package", ["connect_sim", *SERVER_PACKAGES])
def test_each_file_of_a_package_is_in_the_wheel(package: str, wheel: dict[str, int]) -> None:
    """Templates, static files and migrations included."""
    prefix = "" if package == "connect_sim" else "connect_sim/_server/"
    expected = {f"{prefix}{name}" for name in sources(package)}
    assert expected <= wheel.keys()
    found = {name for name in wheel if name.startswith(f"{prefix}{package}/")}
    assert {name for name in found if "/_server/" not in name[len(prefix) :]} <= expected


def test_wheel_has_the_pages_of_users_and_the_skill(wheel: dict[str, int]) -> None:
    pages = {f"docs/{name}.md" for name in ("README", *documentation.pages())}
    found = {name.removeprefix("connect_sim/_server/") for name in wheel if "/_server/" in name}
    folders = ("docs/", "skills/")
    assert {name for name in found if name.startswith(folders)} == pages | sources("skills")


def test_wheel_of_the_sdist_is_the_same(tmp_path: Path, wheel: dict[str, int]) -> None:
    tree = wheels.copy_of_sdist(tmp_path / "sdist")
    wheels.build(tree, tmp_path / "dist", "-t", "wheel")
    [again] = (tmp_path / "dist").iterdir()
    with zipfile.ZipFile(again) as archive:
        assert {entry.filename: entry.CRC for entry in archive.infolist()} == wheel


def test_sdist_has_neither_tests_nor_data() -> None:
    with tarfile.open(wheels.built().sdist) as archive:
        top = {Path(name).parts[1] for name in archive.getnames()}
    assert top == {
        "connect_sim",
        *SERVER_PACKAGES,
        "docs",
        "skills",
        "manage.py",
        "pyproject.toml",
        "PKG-INFO",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        ".env.example",
        ".gitignore",
    }


def test_upper_bounds_are_the_next_major_version() -> None:
    """A handler may share the environment: only private parts need closer bounds."""
    with zipfile.ZipFile(wheels.built().wheel) as archive:
        metadata = Parser().parsestr(archive.read(f"{DIST_INFO}/METADATA").decode())
    closer = set()
    for line in metadata.get_all("Requires-Dist") or ():
        requirement = Requirement(line)
        if "extra ==" in line:
            continue
        major, minor = map(int, version(requirement.name).split(".")[:2])
        assert f"{major + 1}.0" not in requirement.specifier, line
        if f"{major}.{minor + 1}" not in requirement.specifier:
            closer.add(requirement.name)
    assert closer == {"aiohttp", "lib-rql", "uvicorn"}
