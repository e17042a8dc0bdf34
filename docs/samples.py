"""`python -m docs.samples FOLDER`: the small files that the pages use, the same ones each time.

`traffic.jsonl` is the demonstration's support bot: 400 exchanges, then 160 of another model under the same name.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from services.demo.support_bot import Script, traffic

SCRIPT: Final = Script(before=400, after=160)
SEED: Final = 7
MONITOR: Final = """\
# A small baseline, so that the sample shows something. Leave `size` out for real traffic: the default is 1000.
defaults:
  baseline: {size: 300}
"""
SIGNALS: Final = """\
signals:
  sent_elsewhere:
    keywords: [status page, sign-in page]
    title: Sent elsewhere
    noun: rate of answers that send people elsewhere
    floor: 0.05                  # watched: a move of its rate by 5 percentage points is an alert
  numbers:
    pattern: "[0-9]+"
    value: count                 # how many an answer holds: its mean is shown; a moved level pages nobody
  impolite:
    must_contain: [please]       # true where it is missing
"""
DECISIONS: Final = """\
{"schema_version": 1, "kind": "silence", "route": "support-bot/prod", "actor": "mara", \
"reason": "load test", "ts": "2026-03-02T16:00:00Z", "expires": "2026-03-02T18:00:00Z"}
"""


def write(folder: Path) -> tuple[Path, ...]:
    """Write them; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = (one.model_dump_json(exclude_none=True, exclude_defaults=True) for one in traffic(SCRIPT, SEED))
    texts = {
        "traffic.jsonl": "".join(f"{line}\n" for line in lines),
        "keelwatch.yaml": MONITOR,
        "decisions.jsonl": DECISIONS,
        "signals.yaml": SIGNALS,
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return tuple(folder / name for name in texts)


def main() -> None:
    """Write them into the folder that is named."""
    if len(sys.argv) != 2:
        sys.exit("python -m docs.samples FOLDER")
    for path in write(Path(sys.argv[1])):
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
