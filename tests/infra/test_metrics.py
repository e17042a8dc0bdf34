"""The board and the rules ask for what the processes show, all of it, in expressions that can be read."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
import yaml

from services.api.auth.middleware import needs_no_key
from services.api.resources.safety_metrics import GAUGES
from services.api.system import ApiMetrics as ApiMeters
from services.observability.metrics import NotificationMeters as SenderMeters
from services.observability.metrics import ScoreEventMeters, StreamMeters
from tests.support.source import ROOT

RULES = ROOT / "infra" / "prometheus" / "keelwatch.rules.yaml"
BOARDS = sorted((ROOT / "infra" / "grafana").glob("*.json"))
EXAMPLE = ROOT / "infra" / "prometheus" / "prometheus.example.yaml"
RUNBOOKS = ROOT / "infra" / "prometheus" / "README.md"
LEFT_OUT = {
    "process_virtual_memory_bytes": "what a process reserves says nothing; its resident memory is shown",
    "process_start_time_seconds": "a restart shows in `up` and in the counters",
}
OF_PROMETHEUS = {"job", "instance", "le"}
ABSENT = "needs promtool: install Debian's package prometheus"
_SELECTOR = re.compile(r"\b((?:keelwatch|process)_[a-z_]+|up)\b(?:\{([^}]*)\})?")
_BY = re.compile(r"\b(?:by|on|ignoring|without)\s*\(([^)]*)\)")
_MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"[^\"]*\"")


@cache
def shown() -> dict[str, set[str]]:
    """Name of each sample of a process that does everything -> its labels."""
    registry = StreamMeters().registry
    SenderMeters(registry)
    ApiMeters(registry)
    ScoreEventMeters(registry)
    own = registry._names_to_collectors.items()
    labels = {name: set(one._labelnames) for name, one in own if name.startswith("keelwatch_")}
    labels = {name: found for name, found in labels.items() if not name.endswith("_created")}
    process = {sample.name: set(sample.labels) for family in registry.collect() for sample in family.samples}
    of_process = {name: found for name, found in process.items() if name.startswith("process_")}
    return {**of_process, **labels, **{gauge.name: set(gauge.labels) for gauge in GAUGES}}


def rules() -> list[dict]:
    [group] = yaml.safe_load(RULES.read_text())["groups"]
    return group["rules"]


def panels() -> list[dict]:
    every = [panel for board in BOARDS for panel in json.loads(board.read_text())["panels"]]
    return [panel for panel in every if panel["type"] != "row"]


def expressions() -> list[str]:
    asked = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [rule["expr"] for rule in rules()] + asked


def names(expression: str) -> set[str]:
    return {name for name, _ in _SELECTOR.findall(expression)}


def by(expression: str) -> set[str]:
    return {label.strip() for labels in _BY.findall(expression) for label in labels.split(",") if label.strip()}


@pytest.mark.parametrize("expression", expressions())
def test_what_is_asked_for_is_shown(expression: str) -> None:
    known = shown() | {"up": set()}
    assert names(expression)
    of_any = set(OF_PROMETHEUS)
    for name, matchers in _SELECTOR.findall(expression):
        assert name in known, f"no process shows {name}"
        of_any |= known[name]
        assert {label for label, _ in re.findall(r"(\w+)\s*(=~|!~|!=|=)", matchers)} <= known[name] | OF_PROMETHEUS
    assert by(expression) <= of_any
    left = _BY.sub("", _MATCHER.sub("", expression))
    assert expression.count("(") == expression.count(")")
    assert not re.search(r"\b(by|without)\b(?!\s*\()", left)


def test_all_that_is_shown_is_on_the_board_or_left_out_for_a_reason() -> None:
    base = {re.sub(r"_(bucket|count|sum|total)$", "", name) for name in shown()}
    asked = {
        re.sub(r"_(bucket|total)$", "", name) for one in panels() for t in one["targets"] for name in names(t["expr"])
    }
    left_out = {re.sub(r"_total$", "", name) for name in LEFT_OUT}
    assert base - asked == left_out
    assert all(LEFT_OUT.values())


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_every_rule_says_what_is_wrong_and_leads_to_what_to_do(rule: dict) -> None:
    told = rule["annotations"]
    assert set(told) == {"summary", "description", "runbook"}
    path, anchor = told["runbook"].split("#")
    assert (ROOT / path) == RUNBOOKS
    assert anchor in {line[4:].strip().lower() for line in RUNBOOKS.read_text().splitlines() if line.startswith("### ")}
    assert rule["labels"]["severity"] in ("warning", "critical")
    named = set(re.findall(r"\$labels\.(\w+)", told["summary"] + told["description"]))
    assert named <= by(rule["expr"]) | (OF_PROMETHEUS if names(rule["expr"]) == {"up"} else set())


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.stem)
def test_panels_do_not_lie_on_each_other_and_each_has_a_title(board: Path) -> None:
    every = json.loads(board.read_text())["panels"]
    cells = [
        (x, y)
        for at in (panel["gridPos"] for panel in every)
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells))
    assert len({panel["title"] for panel in every}) == len({panel["id"] for panel in every}) == len(every)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.stem)
def test_a_board_offers_what_its_panels_ask_for(board: Path) -> None:
    read = json.loads(board.read_text())
    offered = {one["name"]: one.get("query", "") for one in read["templating"]["list"]}
    asked = " ".join(target["expr"] for one in read["panels"] for target in one.get("targets", ()))
    assert set(re.findall(r"\$([a-z]+)\b", asked)) == set(offered) - {"datasource"}
    for name, query in offered.items():
        if found := re.fullmatch(r"label_values\((\w+), (\w+)\)", query):
            assert (found[2], name in shown()[found[1]]) == (name, True)


def test_safety_comes_first_and_what_is_not_known_is_not_well() -> None:
    read = json.loads(BOARDS[0].with_name("keelwatch-safety.json").read_text())
    first = [one for one in read["panels"] if one["type"] == "stat"]
    asked = [names(target["expr"]) for one in first for target in one["targets"]]
    assert {"keelwatch_route_open_incidents"} in asked
    assert {"keelwatch_route_status"} in asked
    assert {one["fieldConfig"]["defaults"]["noValue"] for one in first} == {"not known"}
    assert not [one for one in read["panels"] for target in one.get("targets", ()) if "vector(0)" in target["expr"]]


def test_the_files_around_name_each_other() -> None:
    scraped = yaml.safe_load(EXAMPLE.read_text())
    assert scraped["rule_files"] == [RULES.name]
    itself, safety = scraped["scrape_configs"]
    assert (itself["job_name"], safety["job_name"]) == ("keelwatch", "keelwatch-safety")
    assert needs_no_key(itself.get("metrics_path", "/metrics"))
    assert not needs_no_key(safety["metrics_path"])
    assert safety["authorization"]["type"] == "Bearer"
    asked = {job for text in expressions() for job in re.findall(r'job=~?"([^"]*)"', text)}
    assert asked == {"keelwatch", "keelwatch-safety.*"}  # of safety there are several, where there are many routes
    provisioning = BOARDS[0].parent / "provisioning"
    [source] = yaml.safe_load((provisioning / "datasources" / "keelwatch.yaml").read_text())["datasources"]
    assert source["type"] == "prometheus"
    [provider] = yaml.safe_load((provisioning / "dashboards" / "keelwatch.yaml").read_text())["providers"]
    assert provider["type"] == "file"


def test_prometheus_reads_every_expression_and_the_rules_fire_when_they_should(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip(ABSENT)
    asked = [target["expr"].replace("$__rate_interval", "1m") for panel in panels() for target in panel["targets"]]
    board = [{"record": f"board:{i}", "expr": expression} for i, expression in enumerate(asked)]
    written = tmp_path / "board.yaml"
    written.write_text(yaml.safe_dump({"groups": [{"name": "board", "rules": board}]}))
    cases = RULES.with_name("keelwatch.rules.test.yaml")
    config = yaml.safe_load(EXAMPLE.read_text()) | {"rule_files": [str(RULES)]}
    config["scrape_configs"][1]["authorization"]["credentials_file"] = str(written)  # it must be there
    example = tmp_path / "prometheus.yaml"
    example.write_text(yaml.safe_dump(config))
    checks = ("check", "rules", str(RULES), str(written)), ("check", "config", str(example))
    for command in (*checks, ("test", "rules", str(cases))):
        done = subprocess.run([promtool, *command], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
