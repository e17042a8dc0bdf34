"""`eval export`: what a person names, where it goes, and one line for what cannot be."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from random import Random
from xml.etree import ElementTree

import pytest

from services.cli.run_exports import export_run
from services.errors import InputError
from services.wording import exports as words
from tests.support.results import result, suite_of, worse


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    """A file of one run, and one of two."""
    suite = suite_of(harmful=20, benign=20, canaries=0)
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    one.write_bytes(result(suite).encode())
    later, other = result(suite, worse("harmful", 18)), result(suite_of(name="other"))
    two.write_text(f"[{later.encode().decode()}, {other.encode().decode()}]", encoding="utf-8")
    return one, two


@pytest.mark.parametrize("kind", ["inspect", "junit", "otel"])
def test_a_run_is_written_where_it_is_wanted(keelwatch, runs, tmp_path: Path, kind: str) -> None:
    out = tmp_path / "out"
    code, said, _ = keelwatch("eval", "export", runs[0], "--to", kind, "--out", out)
    assert (code, said) == (0, f"{words.written(str(out), 1, kind)}\n")
    assert zipfile.is_zipfile(out) == (kind == "inspect")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_an_export_is_not_imported_as_another_tools_verdicts(keelwatch, runs, tmp_path: Path) -> None:
    out = tmp_path / "one.eval"
    assert keelwatch("eval", "export", runs[0], "--to", "inspect", "--out", out)[0] == 0
    code, _, err = keelwatch(
        "eval", "import", out, "--measure", "over_refusal", "--event", "1", "--scorer", "over_refusal"
    )
    assert (code, err.count("\n"), "Keelwatch's export of its run" in err) == (2, 1, True), err


def test_what_changed_is_a_test_case_for_each_hazard(keelwatch, runs, tmp_path: Path) -> None:
    out = tmp_path / "changes.xml"
    one, two = runs
    code, _, _ = keelwatch("eval", "export", two, "--suite", "made", "--against", one, "--to", "junit", "--out", out)
    root = ElementTree.fromstring(out.read_bytes())
    assert code == 0
    assert int(root.attrib["failures"]) >= 1
    code, _, _ = keelwatch("eval", "export", two, "--against", one, "--to", "junit", "--out", out)
    assert ElementTree.fromstring(out.read_bytes()).attrib["errors"] == "1", "the other suite has no earlier run"


def test_a_suite_that_was_not_run_again_is_an_error(keelwatch, runs, tmp_path: Path) -> None:
    """A gate is not green because the suite that failed was left out."""
    one, two = runs
    out = tmp_path / "changes.xml"
    code, _, _ = keelwatch("eval", "export", one, "--against", two, "--to", "junit", "--out", out)
    root = ElementTree.fromstring(out.read_bytes())
    assert (code, root.attrib["errors"]) == (0, "1")
    assert [case.attrib["classname"] for case in root.iter("testcase") if case.find("error") is not None] == [
        "other.run"
    ]
    assert words.NOT_AGAIN in out.read_text()
    keelwatch("eval", "export", one, "--suite", "made", "--against", two, "--to", "junit", "--out", out)
    assert ElementTree.fromstring(out.read_bytes()).attrib["errors"] == "0", "the others were not asked for"


@pytest.mark.parametrize(
    ("which", "options", "named"),
    [
        (0, ("--to", "csv", "--out", "x"), "inspect, junit or otel"),
        (1, ("--to", "inspect", "--out", "x"), "--suite made|other"),
        (1, ("--to", "inspect", "--out", "x", "--suite", "third"), "it has made, other"),
        (0, ("--to", "otel", "--out", "x", "--against", "one.json"), "--to junit"),
        (0, ("--to", "junit", "--out", "."), "--out ."),
        (0, ("--to", "junit", "--out", "no/such/folder/x"), "--out no/such"),
        (0, ("--to", "junit", "--out", "x" * 3_000), "--out x"),
    ],
)
def test_what_cannot_be_exported_is_one_line(keelwatch, runs, monkeypatch, which, options, named) -> None:
    monkeypatch.chdir(runs[0].parent)
    code, out, err = keelwatch("eval", "export", runs[which], *options)
    assert (code, out, len(err.strip().split("\n"))) == (2, "", 1), err
    assert named in err
    assert sorted(path.name for path in Path().iterdir()) == ["one.json", "two.json"]


@pytest.mark.parametrize("kind", ["inspect", "junit", "otel"])
def test_a_changed_file_is_exported_or_refused_in_one_line(runs, tmp_path: Path, kind: str) -> None:
    chance, raw, path = Random(11), json.dumps(json.loads(runs[0].read_text())).encode(), tmp_path / "changed.json"
    refused: list[str] = []
    for _ in range(40):
        changed = bytearray(raw)
        at = chance.randrange(len(changed))
        changed[at : at + chance.randint(0, 3)] = chance.choice([b"", b"\\u0000", b"9", b'"', b"\xff", b"../", b"]]>"])
        path.write_bytes(changed)
        try:
            export_run(str(path), kind, str(tmp_path / "out"), None, None, None)
        except InputError as error:
            refused.append(str(error))
    assert refused
    assert not any("\n" in said for said in refused)
