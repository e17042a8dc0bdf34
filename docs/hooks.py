"""What MkDocs does besides rendering: fill in references, take in pages of the repository, say what is not run.

A page of `docs/` is written for both readers, those of the repository and those of the site: its links lead to files
of the repository, and become links to the site's pages here.
"""

from __future__ import annotations

import posixpath
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT: Final = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from docs.reference import REFERENCES  # noqa: E402 -- MkDocs loads this file by its path

_ASSETS: Final = {
    "keelwatch.svg": "services/api/pages/static/keelwatch.svg",
    "keelwatch.example.yaml": "infra/keelwatch.example.yaml",
}
_MARKER: Final = re.compile(r"^<!-- reference: (\w+) -->$", re.MULTILINE)
_NOT_RUN: Final = re.compile(r"^<!-- not run: (.+?) -->$", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<to>[^)\s#]*)(?P<anchor>#[^)\s]*)?\)")
_FENCE: Final = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def taken_in() -> Mapping[str, str]:
    """Path in the site -> file of the repository that is shown there."""
    pages = {"contribute.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md", "security.md": "SECURITY.md"}
    pages["runbooks.md"] = "infra/prometheus/README.md"
    for folder, where in (("infra/models", "cards"), ("infra/decisions", "decisions"), ("infra/pictures", "pictures")):
        pages |= {f"{where}/{one.name}": f"{folder}/{one.name}" for one in sorted((ROOT / folder).iterdir())}
    return {**pages, **_ASSETS}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what lies elsewhere in the repository."""
    for path, origin in taken_in().items():
        files.append(File.generated(config, path, abs_src_path=str(ROOT / origin)))
    return files


def on_page_markdown(markdown: str, page: Any, config: MkDocsConfig, files: Files) -> str:
    """Fill in the references, then lead every link to where the site has its target."""
    del config, files
    here = page.file.src_uri
    origin = taken_in().get(here, f"docs/{here}")
    filled = _MARKER.sub(lambda found: REFERENCES[found[1]](), markdown)
    return _outside_fences(_NOT_RUN.sub(_told, filled), lambda text: _LINK.sub(lambda f: _led(f, origin, here), text))


def _told(found: re.Match[str]) -> str:
    """A visible line for commands that no test of the documentation runs."""
    return f'<p class="not-run">Not run when this page is tested: {" ".join(found[1].split())}.</p>'


def _outside_fences(text: str, change: Any) -> str:
    parts, last = [], 0
    for fence in _FENCE.finditer(text):
        parts += [change(text[last : fence.start()]), fence[0]]
        last = fence.end()
    return "".join((*parts, change(text[last:])))


def _led(found: re.Match[str], origin: str, here: str) -> str:
    """A link as the site needs it; what the site does not have keeps its words, with the path in the repository."""
    to = found["to"]
    if not to or re.match(r"[a-z]+:", to):
        return found[0]
    target = posixpath.normpath(posixpath.join(posixpath.dirname(origin), to))
    in_site = {path: name for name, path in taken_in().items()}.get(target)
    if in_site is None and target.startswith("docs/"):
        in_site = target.removeprefix("docs/")
    if in_site is not None:
        path = posixpath.relpath(in_site, posixpath.dirname(here) or ".")
        return f"{found['image']}[{found['text']}]({path}{found['anchor'] or ''})"
    return found["text"] if f"`{target}`" == found["text"] else f"{found['text']} (`{target}`)"
