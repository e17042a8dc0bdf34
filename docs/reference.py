"""`python -m docs.reference [NAME]`: the tables of the documentation that are made from the code.

Each function gives the Markdown of one `<!-- reference: NAME -->` marker; nothing of it is stored in the repository.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

import typer.main
from fastapi.routing import iter_route_contexts
from prometheus_client import CollectorRegistry
from sqlalchemy import create_engine

from detectors import DETECTORS
from schemas import topics
from schemas.spec import Spec
from services import specs
from services.api.app import make
from services.api.resources.safety_metrics import GAUGES
from services.api.system import ApiMetrics, SystemHealth
from services.cli.app import app as commands
from services.cli.lazy import Later
from services.evaluate.suite_library import load_suite, suite_names
from services.monitor import Monitor
from services.monitor.policy import BaselinePolicy, RoutePolicy
from services.monitor.schema import MonitorFile
from services.observability.metrics import NotificationMeters, ScoreEventMeters, StreamMeters
from services.settings import Settings, in_files
from services.signals import SIGNALS
from services.store.engine import Database
from services.store.retention import RULES
from services.wiring.api_server import Place, api_of

Row = Sequence[object]
_UNITS: Final = {"pp": "percentage points", "sd": "standard deviations", "ratio": "ratio or count"}
_TYPES: Final = {"integer": "whole number", "number": "number", "boolean": "true or false", "string": "text"}


def table(head: Row, rows: Iterable[Row]) -> str:
    """A Markdown table; `|` and line breaks within cells do not end them."""
    lines = [head, ["---"] * len(head), *rows]
    cells = ([re.sub(r"\s+", " ", str(cell)).replace("|", "\\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def first_line(documented: object) -> str:
    """The first paragraph of a docstring."""
    return (inspect.getdoc(documented) or "").split("\n\n")[0]


def signals() -> str:
    """Every signal."""
    head = ("signal", "what people read", "says whether the answer", "smallest change that counts", "severity")
    rows = ((*_measures(one.spec), one.version, f"[card](../infra/models/{one.spec.name}.md)") for one in SIGNALS)
    return table((*head, "version", "card"), rows)


def _measures(spec: Spec) -> Row:
    severity = {row.name: row.severity for row in specs.reference()}
    return f"`{spec.name}`", spec.title, spec.says, _floor(spec), severity[spec.name]


def _floor(spec: Spec) -> str:
    if spec.floor is None:
        return "no rate"
    return "the first one alerts" if spec.floor == 0 else f"{spec.floor * 100:g} percentage points"


def detectors() -> str:
    """Every detector."""
    return table(
        ("detector", "watches", "an alert says", "effect in", "severity", "speaks of"),
        ((f"`{one.spec.name}`", one.spec.says, *_alerts(one.spec)) for one in DETECTORS),
    )


def _alerts(spec: Spec) -> tuple[str, ...]:
    said = spec.sign or "what was seen, and in which answer"
    times = "twice the ceiling" if spec.kind == "ceiling" else "a move of five floors"
    severity = f"{spec.severity}, or error for {times}" if spec.graver else spec.severity
    seen = "the rate alone" if spec.kind == "ceiling" else "what was seen"
    blamed = {"model": "the model", "users": "the users"}.get(spec.blames or "", seen)
    return said, _UNITS[spec.unit], severity, blamed


def suites() -> str:
    """Every built-in suite."""
    found = [load_suite(name) for name in suite_names()]
    rows = ((f"`{one.name}`", one.version, one.title, len(one.items), one.answers) for one in found)
    return table(("suite", "version", "what it shows", "items", "answers a run"), rows)


def monitor() -> str:
    """Every key of the monitor file, section by section."""
    schema = MonitorFile.model_json_schema()
    sections = {"MonitorFile": schema, **schema["$defs"]}
    places = {
        "MonitorFile": "The file",
        "RouteSection": "`defaults`, and each entry of `routes`",
        "BaselineSection": "`baseline`",
        "TargetSection": "`target`",
        "BudgetSection": "`budget` of a target",
        "PricesSection": "`prices` of a target",
        "ReaskSection": "`reask`",
        "ScheduleSection": "Each entry of `schedules`",
        "IngestRuleSection": "Each entry of `ingest`",
        "IngestLimitsSection": "`ingest_limits`",
        "DeploymentSection": "Each entry of `deployments`",
        "DeployMatchSection": "`match` of an entry of `deployments`",
        "ReceiverSection": "Each entry of `receivers`",
        "ScoreEventsSection": "`score_events`",
        "SlackSection": "`slack` of a receiver",
        "WebhookSection": "`webhook` of a receiver",
        "PagerDutySection": "`pagerduty` of a receiver",
        "OpsgenieSection": "`opsgenie` of a receiver",
        "TeamsSection": "`teams` of a receiver",
        "SlackAccessSection": "`slack_access`",
        "SlackGrantSection": "Each entry of `slack_access.people`",
        "SecretFormSection": "Each entry of `secret_forms`",
        "GuardrailsSection": "`guardrails`",
        "RailSection": "Each entry of `guardrails.rails`",
        "SignalSection": "Each entry of `signals`",
        "JudgeSection": "`judge` of an entry of `signals`",
    }
    assert set(places) == set(sections), "a section of the monitor file has no heading"
    return "\n\n".join(f"### {title}\n\n{_keys(sections[name], _defaults(name))}" for name, title in places.items())


def _defaults(section: str) -> object:
    return {"RouteSection": RoutePolicy(), "BaselineSection": BaselinePolicy()}.get(section)


def _keys(section: Mapping[str, Any], policy: object) -> str:
    required = section.get("required", ())
    rows = []
    for name, one in section["properties"].items():
        default = "required" if name in required else _plain(getattr(policy, name, one.get("default")))
        default = "" if _takes(one) == "a section" and name not in required else default
        rows.append((f"`{name}`", _takes(one), default, one["description"]))
    return table(("key", "takes", "default", "what it is"), rows)


def _plain(value: object) -> str:
    """A default as people would write it."""
    if value is None or value in ((), {}, [], "") or isinstance(value, BaselinePolicy):
        return ""
    if isinstance(value, Mapping):
        return ", ".join(f"`{name}: {_number(one)}`" for name, one in value.items())
    if isinstance(value, tuple):
        return ", ".join(f"`{one}`" if isinstance(one, str) else "at once" for one in value)
    return f"`{_number(value)}`"


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _takes(schema: Mapping[str, Any]) -> str:
    """What may stand at a key, in words."""
    options = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    return " or ".join(_one(one) for one in options)


def _one(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return "a section"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("format") == "duration":
        return "a time such as `1h` or `7d`"
    kind = schema.get("type")
    if kind == "array":
        return f"a list: {_takes(schema['items'])}"
    if kind == "object":
        return "a mapping"
    low, high = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
    bounds = ""
    if low is not None and high is not None:
        bounds = f", {'above ' if 'exclusiveMinimum' in schema else ''}{low:g} to {high:,g}"
    return f"{_TYPES.get(str(kind), str(kind))}{bounds}"


def environment() -> str:
    """Every variable of the environment."""
    rows = []
    for name, one in Settings.model_fields.items():
        default = "" if one.default is None or one.default_factory else f"`{one.default}`"
        variable = f"KEELWATCH_{name.upper()}"
        filed = f" May stand in a file: `{variable}_FILE`." if name in in_files() and name != "api_key" else ""
        rows.append((f"`{variable}`", f"{one.description}{filed}", default))
    return table(("variable", "what it is", "default"), rows)


def cli() -> str:
    """Every command, with its arguments and options."""
    return "\n\n".join(_command(path, one) for path, one in _commands("keelwatch", typer.main.get_command(commands)))


def _commands(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield path, command
        return
    for name, one in command.commands.items():
        yield from _commands(f"{path} {name}", one.load() if isinstance(one, Later) else one)


def _command(path: str, command: Any) -> str:
    shown = [one for one in command.params if not one.hidden and one.name != "help"]
    arguments = [one for one in shown if one.param_type_name == "argument"]
    options = [one for one in shown if one.param_type_name != "argument"]
    words = [f"{one.metavar or one.name.upper()}" if one.required else f"[{one.metavar}]" for one in arguments]
    words += [f"{one.opts[0]} {_value(one)}" for one in options if one.required]
    words += ["[OPTIONS]"] if any(not one.required for one in options) else []
    usage = " ".join((path, *words))
    rows = [(f"`{_name(one)}`", one.help or "", _default(one)) for one in shown]
    listed = f"\n\n{table(('', 'what it is', 'default'), rows)}" if rows else ""
    told = inspect.cleandoc(command.help or "").replace("\f", "")
    return f"## {path}\n\n```text\n{usage}\n```\n\n{told}{listed}"


def _name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return parameter.metavar or parameter.name.upper()
    return " ".join(filter(None, ("/".join((*parameter.opts, *parameter.secondary_opts)), _value(parameter))))


def _value(option: Any) -> str:
    if option.is_flag:
        return ""
    kind = getattr(option.type_descriptor.annotation, "__name__", "")
    return option.metavar or {"int": "N", "float": "N"}.get(kind, option.name.upper())


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    return (
        "" if parameter.default in (None, False, "", [], ()) or callable(parameter.default) else str(parameter.default)
    )


def description() -> dict[str, Any]:
    """The OpenAPI description, of an API that is connected to nothing."""
    return _application().openapi()


@cache
def _application() -> Any:
    async def nowhere(_topic: str, _key: bytes | None, _value: bytes) -> None:
        raise ConnectionError

    database = Database(create_engine("sqlite://"))
    health = SystemHealth(database)
    return make(api_of(database, Monitor(), nowhere, health, Place("127.0.0.1")))


def roles() -> dict[tuple[str, str], str]:
    """(method, path) -> the least role that may ask."""
    found = {}
    for route in iter_route_contexts(_application().routes):
        for one in getattr(route, "dependencies", ()):
            role = inspect.getclosurevars(one.dependency).nonlocals.get("role")
            if role is not None:
                found.update({(method, re.sub(r":\w+}", "}", route.path)): role for method in route.methods or ()})
    return found


def api() -> str:
    """Every operation of the API, by what it is about."""
    described, may = description(), roles()
    groups: dict[str, list[str]] = {}
    for path, operations in described["paths"].items():
        for method, one in operations.items():
            if isinstance(one, dict) and "responses" in one:
                role = may.get((method.upper(), path), "")
                subject = path.split("/")[2] if path.startswith("/v1/") else "other"
                groups.setdefault(subject, []).append(_operation(method.upper(), path, one, role))
    return "\n\n".join(f"### {name}\n\n" + "\n\n".join(ops) for name, ops in groups.items())


def _operation(method: str, path: str, one: Mapping[str, Any], role: str) -> str:
    told = [f"#### {method} {path}", f"**{one.get('summary', '').rstrip('.')}.** {one.get('description', '')}".strip()]
    asked = [
        (f"`{p['name']}`", p["in"], _takes(p.get("schema", {})), p.get("description", ""))
        for p in one.get("parameters", ())
    ]
    if asked:
        told.append(table(("parameter", "in", "takes", "what it is"), asked))
    body = _record(one.get("requestBody", {}).get("content", {}))
    answers = {status: _record(response.get("content", {})) for status, response in sorted(one["responses"].items())}
    good = ", ".join(f"{status}{f' {name}' if name else ''}" for status, name in answers.items() if status < "400")
    bad = ", ".join(status for status in answers if status >= "400")
    who = f"needs the role `{role}`" if role else "needs no key: what it takes is signed"
    lines = [who, f"body: {body}" if body else "", f"answers {good}; else {bad}"]
    told.append(". ".join(line[0].upper() + line[1:] for line in lines if line) + ".")
    return "\n\n".join(told)


def _record(content: Mapping[str, Any]) -> str:
    """The names of the records in a body, as links to what they hold."""
    names = dict.fromkeys(re.findall(r"#/components/schemas/(\w+)", str(content)))
    return ", ".join(f"[{name}](api-records.md#{name.lower()})" for name in names)


def records() -> str:
    """Every record that the API takes or gives, and its fields."""
    described = description()["components"]["schemas"]
    return "\n\n".join(
        f"## {name}\n\n{_paragraph(one)}{_fields(one)}" for name, one in sorted(described.items()) if _fields(one)
    )


def _paragraph(schema: Mapping[str, Any]) -> str:
    told = str(schema.get("description", "")).split("\n\n")[0]
    return f"{told}\n\n" if told else ""


def _fields(schema: Mapping[str, Any]) -> str:
    required = schema.get("required", ())
    rows = [
        (f"`{name}`", _typed(one), "yes" if name in required else "", one.get("description", ""))
        for name, one in schema.get("properties", {}).items()
    ]
    return table(("field", "type", "always there", "what it is"), rows) if rows else ""


def _typed(schema: Mapping[str, Any]) -> str:
    names = re.findall(r"#/components/schemas/(\w+)", str(schema))
    choices = [one for one in dict.fromkeys(names) if "enum" in description()["components"]["schemas"][one]]
    if choices:
        return " or ".join(_takes(description()["components"]["schemas"][one]) for one in choices)
    if names:
        told = " or ".join(f"[{name}](#{name.lower()})" for name in dict.fromkeys(names))
        return f"list of {told}" if "'array'" in str(schema) else told
    if "const" in schema:
        return f"`{schema['const']}`"
    return _takes(schema).replace("None", "any")


def metrics() -> str:
    """Every metric that a process shows to everybody."""
    registry = StreamMeters().registry
    NotificationMeters(registry)
    ApiMetrics(registry)
    ScoreEventMeters(registry)
    return table(("metric", "kind", "labels", "what it counts"), sorted(_metrics(registry)))


def _metrics(registry: CollectorRegistry) -> Iterator[Row]:
    for collector in dict.fromkeys(registry._collector_to_names):
        labels = ", ".join(f"`{label}`" for label in getattr(collector, "_labelnames", ()))
        for one in collector.collect():
            name = f"{one.name}_total" if one.type == "counter" else one.name
            yield f"`{name}`", one.type, labels, one.documentation


def safety_metrics() -> str:
    """Every metric of /v1/metrics."""
    rows = ((f"`{one.name}`", ", ".join(f"`{label}`" for label in one.labels), one.words) for one in GAUGES)
    return table(("metric", "labels", "what it is"), rows)


def flow() -> str:
    """Every topic: who writes it, who reads it."""
    rows = (
        (f"`{one.name}`", " and ".join(one.records), one.producer, ", ".join(one.consumers), one.partitions)
        for one in topics.TOPICS
    )
    return table(("topic", "holds", "written by", "read by", "partitions"), rows)


def retention() -> str:
    """How long everything is kept, on the broker and in the database."""
    rows: list[Row] = []
    on_topics = "the broker's clock", "steps that stood still read it then"
    for one in topics.TOPICS:
        text = ", with its text" if one is topics.EXCHANGES else ", redacted" if one is topics.SAMPLES else ""
        rows.append(
            (f"topic `{one.name}`", " and ".join(one.records) + text, f"{one.retention_hours // 24} days", *on_topics)
        )
    days = {one.retention_hours // 24 for one in topics.dead_topics()}
    rows.append(("topics `*.dead`", "dead letters, with their content, sealed", f"{max(days)} days", *on_topics))
    for rule in sorted(RULES, key=lambda rule: rule.name):
        held = re.split(r"[.:;](?:\s|$)", first_line(rule.model))[0]
        rows.append((f"table `{rule.name}`", held, rule.kept, rule.judged_by, rule.why))
    return table(("where", "what it holds", "how long", "judged by", "why"), rows)


REFERENCES: Final[Mapping[str, Callable[[], str]]] = {
    one.__name__: one
    for one in (
        signals,
        detectors,
        suites,
        monitor,
        environment,
        cli,
        api,
        records,
        metrics,
        safety_metrics,
        flow,
        retention,
    )
}


def main() -> None:
    """Print the references that are named, or all."""
    unknown = [name for name in sys.argv[1:] if name not in REFERENCES]
    if unknown:
        sys.exit(f"{unknown[0]}: must be one of {', '.join(REFERENCES)}")
    for name in sys.argv[1:] or REFERENCES:
        sys.stdout.write(REFERENCES[name]() + "\n\n")


if __name__ == "__main__":
    main()
