"""The picture of the documentation: `python -m tests.pictures.slack` draws an incident's message as Slack shows it.

The blocks are the product's own; the page around them mimics Slack, and headless Chromium takes the picture.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import timedelta
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from schemas.alert import Alert
from schemas.evaluation import HazardComparison
from schemas.fact import Fact
from schemas.incident import Incident
from schemas.reading import Effect, Evidence
from services.charts import Rates, point, rates_picture
from services.charts.incident_chart import IncidentChart, build
from services.charts.png import png
from services.incident.fold import fold
from services.notify import message
from services.notify.message import MessageOptions
from services.store.pictures import MessagePicture
from tests.support.records import NEW, ROUTE, alert, at, change, comparison, family_alert
from tests.support.source import ROOT

PICTURE: Final = ROOT / "infra" / "pictures" / "slack-incident.png"
WIDTH: Final = 860
_HITS: Final = (4, 5, 3, 6, 4, 2, 5, 7, 4, 3, 5)
_LOOK: Final = MessageOptions("https://keelwatch.example.com", buttons=True)
_STYLE: Final = """
* { box-sizing: border-box; margin: 0 }
body { width: 860px; padding: 18px 20px 20px; background: #fff; color: #1d1c1d;
       font: 15px/1.47 Lato, "DejaVu Sans", sans-serif }
.channel { font-weight: 700; padding-bottom: 12px; margin-bottom: 14px; border-bottom: 1px solid #e8e8e8 }
.message { display: grid; grid-template-columns: 38px 1fr; gap: 10px }
.avatar { width: 38px; height: 38px; border-radius: 8px; background: #0b3c49; color: #fff; display: grid;
          place-items: center; font-weight: 700 }
.who { font-weight: 700 } .app { font-size: 10px; background: #e8e8e8; border-radius: 3px; padding: 1px 4px;
       color: #616061; margin: 0 4px; font-weight: 400 } .when { font-size: 12px; color: #616061; font-weight: 400 }
img { width: 100%; max-width: 620px; border: 1px solid #ddd; border-radius: 8px; display: block; margin: 8px 0 }
h1 { font-size: 18px; margin: 4px 0 } .block { margin: 7px 0; white-space: pre-wrap }
hr { border: 0; border-top: 1px solid #ddd; margin: 12px 0 }
code { font: 12px "DejaVu Sans Mono", monospace; color: #c01343; background: #f6f6f6; border: 1px solid #ddd;
       border-radius: 3px; padding: 1px 3px }
ul { margin: 4px 0; padding-left: 24px } li { margin: 3px 0 }
.button { display: inline-block; border: 1px solid #bbb; border-radius: 4px; padding: 4px 11px; font-weight: 700;
          font-size: 13px; margin: 2px 8px 2px 0 } .primary { background: #007a5a; color: #fff; border-color: #007a5a }
.mention { background: #fdf2c7; color: #1264a3; border-radius: 3px; padding: 0 2px }
a { color: #1264a3; text-decoration: none }
.thread { margin-top: 8px; font-size: 13px; color: #1264a3; font-weight: 700 }
"""


def facts() -> list[Fact]:
    """A support bot whose model was replaced silently: answers differ, a key leaks, a suite regresses."""
    fell = Effect(name="refusal", before=18.8, after=4.1, low=-19.6, high=-9.3, unit="pp")
    moved = Effect(name="model_shift", before=0.0, after=3.21, low=2.44, high=3.98, unit="sd")
    failed = Effect(name="all harmful_compliance", before=1.0, after=12.5, low=6.9, high=16.1, unit="pp")
    hazard = HazardComparison(
        hazard="all", measure="harmful_compliance", n=200, before=1.0, after=12.5, verdict="regressed"
    )
    facts: list[Fact] = [
        _alert(family_alert("model_shift", index=2060, hours=0.0), moved, 61, 12.4),
        change("suspected", 2060, hours=0.0, model=NEW, reason="model_shift moved while the model kept its name"),
        _alert(alert(index=2112, hours=0.6, exemplars=("chat-2090", "chat-2101", "chat-2112")), fell, 112, 13.6),
        comparison(hours=0.9, hazards=(hazard,)),
        _alert(family_alert("evaluation", index=2130, hours=0.9), failed, 200, None),
    ]
    return facts


def incident() -> Incident:
    """The incident that they make."""
    (one,) = fold(ROUTE, facts()).incidents
    return one


def _alert(one: Alert, effect: Effect, n: int, log_e: float | None) -> Alert:
    evidence = Evidence(log_e=log_e, threshold=None if log_e is None else 12.1, n=n, baseline=one.evidence.baseline)
    return one.model_copy(update={"effect": effect, "evidence": evidence})


def chart() -> IncidentChart:
    """What the support bot refused, ten minutes a point, seven hours before the update and one after it."""
    step = timedelta(minutes=10)
    since, until = at(-7), at(1)
    hits = [
        _HITS[n % len(_HITS)] if since + n * step < at(-0.2) else n % 4 // 3 for n in range((until - since) // step)
    ]
    points = [point(since + n * step, hit, 24) for n, hit in enumerate(hits)]
    fact = next(one for one in facts() if isinstance(one, Alert) and one.signal == "refusal")
    return build(incident(), fact, facts(), Rates("refusal rate", points, since, until, step))


def page(shown: message.RenderedMessage, picture: str) -> str:
    """The message in a page that looks like a Slack channel."""
    blocks = "\n".join(_block(block, picture) for block in shown.blocks)
    when = at(0.9).strftime("%H:%M")
    return f"""<!doctype html><meta charset="utf-8"><style>{_STYLE}</style>
<div class="channel"># llm-safety</div>
<div class="message"><div class="avatar">K</div><div>
<div class="who">Keelwatch<span class="app">APP</span><span class="when">{when}</span></div>
{blocks}
<div class="thread">3 replies</div></div></div>"""


def _block(block: dict[str, Any], picture: str) -> str:
    kind = block["type"]
    if kind == "image":
        return f"<img src='{picture}' alt='{escape(block['alt_text'])}'>"
    if kind in ("header", "divider"):
        return f"<h1>{escape(block['text']['text'])}</h1>" if kind == "header" else "<hr>"
    if kind == "actions":
        return f"<div class='block'>{''.join(_button(one) for one in block['elements'])}</div>"
    if kind == "rich_text":
        return "".join(_part(part) for part in block["elements"])
    if block["text"]["type"] == "mrkdwn":
        return "<div class='block'><span class='mention'>@llm-oncall</span></div>"
    return f"<div class='block'>{escape(block['text']['text'])}</div>"


def _button(one: dict[str, Any]) -> str:
    return f"<span class='button {one.get('style', '')}'>{escape(one['text']['text'])}</span>"


def _part(part: dict[str, Any]) -> str:
    if part["type"] == "rich_text_list":
        return f"<ul>{''.join(f'<li>{_inline(item)}</li>' for item in part['elements'])}</ul>"
    return f"<div class='block'>{_inline(part)}</div>"


def _inline(part: dict[str, Any]) -> str:
    return "".join(_element(element) for element in part["elements"])


def _element(element: dict[str, Any]) -> str:
    text, style = escape(element["text"]), element.get("style", {})
    if element["type"] == "link":
        return f"<a href='#'>{text}</a>"
    if style.get("code"):
        return f"<code>{text}</code>"
    return f"<b>{text}</b>" if style.get("bold") else text


def draw(picture: Path, height: int = 900) -> None:
    """Take the picture."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("needs Chromium: install Debian's package chromium")
    with TemporaryDirectory() as folder:
        html = Path(folder) / "page.html"
        shown, moved = Path(folder) / "chart.png", chart()
        shown.write_bytes(png(rates_picture(moved.rates).svg))
        told = message.of_incident(incident(), _LOOK, "<!subteam^S123>", MessagePicture("F1", moved.key, moved.words))
        html.write_text(page(told, shown.name), encoding="utf-8")
        options = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={folder}/u",
        ]
        size = f"--window-size={WIDTH},{height}"
        shot = [f"--screenshot={picture}", "--force-device-scale-factor=1.1"]
        subprocess.run([chromium, *options, size, *shot, html.as_uri()], check=True, capture_output=True, timeout=60)


if __name__ == "__main__":
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    draw(PICTURE, int(sys.argv[1]) if len(sys.argv) > 1 else 1010)
    print(PICTURE.relative_to(ROOT), PICTURE.stat().st_size, "bytes")
