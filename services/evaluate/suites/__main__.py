"""Writes the items of `core` and `core-wide` from their families: python -m services.evaluate.suites [--check].

With --check it writes nothing, and ends with 1 where a file is not what the families give.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import yaml

from services.evaluate.suites.generator import core_items, wide_items

HERE: Final = Path(__file__).parent


def written() -> Mapping[Path, str]:
    """What stands in each file that is generated."""
    files = sorted((HERE / "families").glob("*.yaml"))
    families = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in files}
    made = {"core": core_items(families), "core-wide": wide_items(families)}
    return {
        HERE / name / "items.jsonl": "".join(f"{json.dumps(item, ensure_ascii=False)}\n" for item in items)
        for name, items in made.items()
    }


def main(check: bool) -> int:
    """Write the files, or compare them."""
    stale = [path for path, text in written().items() if not path.is_file() or path.read_text("utf-8") != text]
    for path in stale:
        if not check:
            path.write_text(written()[path], encoding="utf-8")
        told = "is not what its families give" if check else "written"
        sys.stdout.write(f"{path.parent.name}/{path.name}: {told}\n")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
