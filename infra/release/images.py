"""The images that Keelwatch is built on and run beside: `make images` checks their names, `make pin-images` pins them.

An image is named with its tag in docker-compose.yml and the Dockerfile; a release adds the digest that the tag has that
day (`name:tag@sha256:...`), so that what was tried is what runs. skopeo asks the registry; nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
FILES: Final = ("docker-compose.yml", "infra/docker/Dockerfile")
OWN: Final = "keelwatch"  # built here, in no registry
_LINE: Final = re.compile(r"^(\s*image:\s+|FROM\s+)(\S+)", re.MULTILINE)
_STAGE: Final = re.compile(r"^FROM\s+\S+\s+AS\s+(\S+)", re.MULTILINE | re.IGNORECASE)
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._/-]*:(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]*)(?:@sha256:[0-9a-f]{64})?")
_SECONDS: Final = 60


class Unknown(Exception):  # noqa: N818
    """A registry does not say what an image is now."""


@dataclass(frozen=True, slots=True)
class Named:
    """An image as a file names it."""

    file: str
    image: str


def images(file: str, text: str) -> list[Named]:
    """The images of others that a file names, in order; stages of a build and what is built here are none."""
    stages = set(_STAGE.findall(text))
    found = (match[2] for match in _LINE.finditer(text))
    return [Named(file, image) for image in found if image not in stages and image.split(":")[0] != OWN]


def complaints(found: Iterable[Named]) -> list[str]:
    """Names that leave open what they mean, and images that are named in two ways."""
    told, known = [], dict[str, Named]()
    for one in found:
        match = _NAME.fullmatch(one.image)
        if match is None or match["tag"] == "latest":
            told.append(f"{one.file}: {one.image}: name a tag that stays, such as postgres:15")
        first = known.setdefault(one.image.split(":")[0], one)
        if first.image != one.image:
            told.append(f"{one.file}: {one.image}: {first.file} names {first.image}; use one of them")
    return told


def pinned(text: str, digests: Mapping[str, str]) -> str:
    """The text with the digest of today behind every image of `digests`, which are named without one."""

    def pin(match: re.Match[str]) -> str:
        bare = match[2].split("@")[0]
        return f"{match[1]}{bare}@{digests[bare]}" if bare in digests else match[0]

    return _LINE.sub(pin, text)


def digest_now(image: str, options: Iterable[str] = ()) -> str:
    """What a registry holds under a name now: the sha256 of its manifest, which is what it is pinned by.

    Raises:
        Unknown: if skopeo is not here, or the registry does not answer or has no such image.
    """
    command = ["skopeo", "inspect", "--raw", *options, f"docker://{image}"]
    try:
        run = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=True)
    except FileNotFoundError:
        raise Unknown("skopeo is not installed: it is a package of most systems (Debian: skopeo)") from None
    except subprocess.TimeoutExpired:
        raise Unknown(f"{image}: the registry did not answer within {_SECONDS} s") from None
    except subprocess.CalledProcessError as error:
        last = error.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise Unknown(f"{image}: {''.join(last) or 'skopeo failed'}") from None
    return f"sha256:{hashlib.sha256(run.stdout).hexdigest()}"


def main(pin: bool, ask: Callable[[str], str] = digest_now, root: Path = ROOT) -> int:
    """Check the names; pin them where asked to: either all or none."""
    texts = {file: (root / file).read_text(encoding="utf-8") for file in FILES}
    found = [one for file, text in texts.items() for one in images(file, text)]
    if wrong := complaints(found):
        print(*wrong, sep="\n", file=sys.stderr)
        return 1
    if not pin:
        print(*(f"{one.file}: {one.image}" for one in found), sep="\n")
        return 0
    try:
        digests = {bare: ask(bare) for bare in sorted({one.image.split("@")[0] for one in found})}
    except Unknown as error:
        print(f"{error}; nothing was pinned", file=sys.stderr)
        return 1
    for file, text in texts.items():
        (root / file).write_text(pinned(text, digests), encoding="utf-8")
    print(*(f"{image}@{digest}" for image, digest in digests.items()), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main("--pin" in sys.argv[1:]))
