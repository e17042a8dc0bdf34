"""What a release looks at: whose work is installed, and which images it is built on."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import stat
import sys
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.source import ROOT

DIGEST = f"sha256:{'a' * 64}"


def _script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"release_{name}", ROOT / "infra" / "release" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.fixture(scope="module")
def images() -> ModuleType:
    return _script("images")


@pytest.fixture(scope="module")
def licences() -> ModuleType:
    return _script("licences")


def _told(**fields: str) -> Message:
    message = Message()
    for name, value in fields.items():
        message[name.replace("_", "-")] = value
    return message


@pytest.mark.parametrize(
    ("fields", "licence", "author"),
    [
        ({"License_Expression": "MIT", "Author_email": "A <a@a.org>"}, "MIT", "A <a@a.org>"),
        ({"Classifier": "License :: OSI Approved :: MIT License", "Author": "A"}, "MIT License", None),
        ({"License": "Apache-2.0", "Author": "A", "Home_page": "https://a.org"}, "Apache-2.0", "A"),
        ({"License": "Copyright (c) 2020 A", "Maintainer_email": "a@a.org"}, None, "a@a.org"),
        ({"License": "MIT", "Author_email": "Matt <matt@example.com>"}, "MIT", None),
        ({"License": "MIT", "Author_email": "a <1+a@users.noreply.github.com>"}, "MIT", None),
        ({}, None, None),
    ],
)
def test_a_licence_is_a_name_and_an_author_somebody_who_can_be_reached(
    licences: ModuleType, fields: dict[str, str], licence: str | None, author: str | None
) -> None:
    found = licences.origin_of("x", "1", _told(**fields))
    assert (found.licence, found.author) == (licence, author)


def test_everything_installed_says_whose_it_is_or_is_named_with_the_reason(licences: ModuleType) -> None:
    origins = licences.installed(("core",))
    assert len(origins) > 50
    assert licences.complaints(origins, licences.excuses()) == []


def test_what_is_unclear_and_not_named_is_told_and_so_is_a_needless_reason(licences: ModuleType) -> None:
    unclear, clear = (
        licences.Origin("dark", "1", None, "A <a@a.org>"),
        licences.Origin("fair", "1", "MIT", "A <a@a.org>"),
    )
    told = licences.complaints([unclear, clear], {"fair": "why"})
    assert [line.split(":")[0] for line in told] == ["dark 1", "fair"]


def test_the_images_of_the_repository_have_tags_that_stay(
    images: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert images.main(False) == 0
    assert "docker-compose.yml: postgres:" in capsys.readouterr().out


@pytest.mark.parametrize("image", ["postgres", "postgres:latest", "Postgres:15", "postgres:15@sha256:short"])
def test_a_name_that_leaves_open_what_it_means_is_told(images: ModuleType, image: str) -> None:
    found = images.images("compose", f"services:\n  a:\n    image: {image}\n")
    assert images.complaints(found) == [f"compose: {image}: name a tag that stays, such as postgres:15"]


def test_stages_and_what_is_built_here_are_no_images_of_others(images: ModuleType) -> None:
    text = "FROM python:3.11-slim AS base\nFROM base AS core\n  image: keelwatch:${TARGET:-core}\n"
    assert [one.image for one in images.images("f", text)] == ["python:3.11-slim"]


def _repository(images: ModuleType, folder: Path) -> Path:
    for file in images.FILES:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text((ROOT / file).read_text(encoding="utf-8"), encoding="utf-8")
    return folder


def test_pinning_writes_the_digest_behind_every_image_and_again_the_new_one(images: ModuleType, tmp_path: Path) -> None:
    root = _repository(images, tmp_path)
    before = {file: (root / file).read_text() for file in images.FILES}
    for digest in (DIGEST, f"sha256:{'b' * 64}"):
        assert images.main(True, lambda _, digest=digest: digest, root) == 0
        for file, text in before.items():
            now = (root / file).read_text()
            named = images.images(file, now)
            assert named
            assert all(one.image.endswith(f"@{digest}") for one in named)
            assert now.replace(f"@{digest}", "") == text


def test_one_image_that_no_registry_knows_leaves_all_as_they_are(
    images: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = _repository(images, tmp_path)

    def ask(image: str) -> str:
        if image.startswith("python"):
            raise images.Unknown(f"{image}: manifest unknown")
        return DIGEST

    assert images.main(True, ask, root) == 1
    assert "manifest unknown; nothing was pinned" in capsys.readouterr().err
    assert all((root / file).read_text() == (ROOT / file).read_text() for file in images.FILES)


@pytest.fixture
def skopeo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A program of this name on the path that does what it is told."""

    def make(script: str) -> None:
        program = tmp_path / "skopeo"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(tmp_path))

    return make


@pytest.mark.processes
def test_the_digest_is_that_of_the_manifest(images: ModuleType, skopeo: Callable[[str], None]) -> None:
    manifest = json.dumps({"schemaVersion": 2})
    skopeo(f"printf '%s' '{manifest}'")
    assert images.digest_now("postgres:15") == f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"


@pytest.mark.processes
def test_what_skopeo_says_last_is_what_people_read(images: ModuleType, skopeo: Callable[[str], None]) -> None:
    skopeo("echo one >&2; echo 'manifest unknown' >&2; exit 1")
    with pytest.raises(images.Unknown, match=r"^postgres:15: manifest unknown$"):
        images.digest_now("postgres:15")


def test_without_skopeo_it_says_what_to_install(
    images: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(images.Unknown, match="skopeo is not installed"):
        images.digest_now("postgres:15")
