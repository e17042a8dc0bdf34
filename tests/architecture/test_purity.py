"""Who may read the environment, the clock and chance, choose an adapter, or unpickle: almost nobody."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.support.source import Module, dotted, imports, modules

PURE = (
    "detectors.",
    "services.signals.",
    "services.intake.",
    "services.evaluate.endpoints.",
    "services.evaluate.exporters.",
    "services.evaluate.prompt_sets.",
    "services.detect.",
    "services.alert.",
    "services.incident.",
    "services.wording.",
)
PURE_FILES = ("core", "stages")
PURE_MODULES = {
    *(
        f"services.evaluate.{name}"
        for name in (
            "comparison",
            "paired_statistics",
            "profile",
            "profile_label",
            "result",
            "run_check",
            "run_seal",
            "scorer_rubrics",
            "scorers",
            "stated_run",
            "suite",
            "suite_parser",
            "triggers",
            "untested",
        )
    ),
    *(
        f"services.charts.{name}"
        for name in ("axis", "drawing", "frame", "marks", "rate_chart", "small_charts", "summary", "values")
    ),
    *(f"services.notify.{name}" for name in ("block_kit", "buttons", "channel", "delivery_rules", "message")),
}
# A lock and scratch memory of each thread, around a matcher that keeps nothing of a text.
IMPURE = {"services.signals._hyperscan": {"threading"}}
WORLD = {"time", "random", "secrets", "uuid", "os", "pathlib", "logging", "threading", "asyncio", "socket"} | {
    "subprocess",
    "sqlite3",
    "sqlalchemy",
    "sqlmodel",
    "rich",
    "typer",
}
CALLS = {"open", "print", "input", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
PICKLES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
ENVIRONMENT = {"os.environ", "os.getenv", "os.environb", "os.putenv", "pydantic_settings"}
ADAPTERS = ("services.score.embed.", "services.notify.receivers.")
CHOOSE = ("services.score.embed", "services.notify.receivers", "services.wiring")


def test_the_rules_name_what_exists() -> None:
    """A rule about a module that was renamed would hold of nothing."""
    names = {module.name for module in modules()}
    assert (PURE_MODULES | IMPURE.keys()) - names == set()
    for prefix in (*PURE, *ADAPTERS, *CHOOSE):
        assert any(f"{name}.".startswith(prefix) for name in names), prefix
    assert {"core", "stages"} <= {name.rpartition(".")[2] for name in names}


def _pure() -> Iterator[Module]:
    for module in modules("detectors", "services"):
        pure = module.name.startswith(PURE) or module.name in PURE_MODULES
        if pure or module.name.rsplit(".", 1)[-1] in PURE_FILES:
            yield module


def _uses(module: Module) -> set[str]:
    return {dotted(node) for node in ast.walk(module.tree) if isinstance(node, ast.Attribute)} | imports(module)


def _calls(module: Module) -> Iterator[ast.Call]:
    return (node for node in ast.walk(module.tree) if isinstance(node, ast.Call))


def test_cores_have_no_clock_chance_input_output_or_log() -> None:
    assert {
        module.name: used
        for module in _pure()
        if (used := {n.split(".")[0] for n in imports(module)} & WORLD - IMPURE.get(module.name, set()))
    } == {}
    for module in _pure():
        assert {dotted(call.func) for call in _calls(module)} & CALLS == set(), module.relative


def test_random_numbers_are_seeded() -> None:
    for module in modules():
        for call in _calls(module):
            if ".random." in (name := dotted(call.func)):
                assert name.endswith((".default_rng", ".Generator", ".Philox", ".PCG64", ".SeedSequence")), (
                    module.relative
                )
                assert call.args or call.keywords, f"{module.relative}:{call.lineno} draws a seed of its own"


def test_only_settings_reads_the_environment() -> None:
    """So does the script that runs in another environment of Python, where no other module of ours is."""
    readers = {module.name for module in modules() if _uses(module) & ENVIRONMENT}
    assert readers <= {"services.settings", "services.evaluate.inspect_host"}
    (host,) = [module for module in modules() if module.name == "services.evaluate.inspect_host"]
    assert not {name for name in imports(host) if name.split(".")[0] in ("services", "schemas", "detectors")}


def test_nothing_is_unpickled() -> None:
    for module in modules():
        assert {name.split(".")[0] for name in imports(module)} & PICKLES == set(), module.relative
        for call in _calls(module):
            assert not any(keyword.arg == "allow_pickle" for keyword in call.keywords), module.relative
            assert dotted(call.func) not in ("torch.load", "pandas.read_pickle"), module.relative


def test_only_wiring_names_adapters() -> None:
    users = {
        module.name
        for module in modules()
        for name in imports(module)
        if name.startswith(ADAPTERS) and not module.name.startswith(CHOOSE)
    }
    assert users == set()
