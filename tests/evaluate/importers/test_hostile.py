"""Files that are broken, too large, of another tool or made to do harm: one line that names file, place and remedy."""

from __future__ import annotations

import copy
import io
import json
import os
import random
import shutil
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import cramjam
import pytest

from services.errors import InputError
from services.evaluate.importers import foreign, imported, reading, tables
from services.evaluate.importers.foreign import Content, foreign_json
from services.evaluate.importers.reading import read_content
from services.evaluate.result import RunResult
from services.strict_json import read_json
from tests.evaluate.importers.support import FIXTURES, TOLD, order, read


def refused(path: Path, name: str = "inspect/strong-reject.json") -> str:
    """What is said of a file that cannot be read."""
    with pytest.raises(InputError) as raised:
        imported(read_content(path), order(TOLD[name]))
    said = str(raised.value)
    assert said.startswith(str(path)), said
    assert "\n" not in said
    assert len(said) < 1_000
    return said


def put(path: Path, data: bytes | str) -> Path:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_without_an_end_are_read_where_foreign_tools_write_them_and_nowhere_else(number: str) -> None:
    assert isinstance(foreign_json(number, "a"), float)
    with pytest.raises(ValueError, match=r"not JSON|without an end"):
        read_json(number)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "absent")
    assert "is empty" in refused(put(tmp_path / "empty", ""))
    assert "is empty" in refused(put(tmp_path / "blank", " \n\n"))
    assert "not UTF-8" in refused(put(tmp_path / "picture", b"\x89PNG\xff\xfe"))
    assert "not JSON" in refused(put(tmp_path / "words", "hello"))
    assert "holds no JSON" in refused(tmp_path_folder(tmp_path))
    os.mkfifo(tmp_path / "pipe")
    for unread in (tmp_path / "pipe", Path("/dev/zero")):
        assert "no ordinary file" in refused(unread)


def tmp_path_folder(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder"


@pytest.mark.parametrize("text", ["{}", "[]", "null", "1", '{"a": 1}\n{"b": 2}', '[{"name": 1}]', '"x"', "[[[[1]]]]"])
def test_json_of_another_tool(tmp_path: Path, text: str) -> None:
    said = refused(put(tmp_path / "a.json", text))
    assert "written by no tool that is known here" in said
    assert all(tool in said for tool in ("Inspect AI", "garak", "promptfoo", "lm-eval", "HELM", "PyRIT"))


def test_json_that_is_too_deep(tmp_path: Path) -> None:
    assert "nested too deep" in refused(put(tmp_path / "deep", "[" * 200_000 + "]" * 200_000))


def test_a_file_that_is_larger_than_any(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_BYTES", 1_000)
    assert "larger than" in refused(put(tmp_path / "large", "[" + "1," * 1_000 + "1]"))
    shutil.copytree(FIXTURES / "helm" / "before", tmp_path / "run")
    with pytest.raises(InputError, match="larger than"):
        read_content(tmp_path / "run")


def test_more_answers_than_any(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from services.evaluate.importers import assembling  # noqa: PLC0415

    monkeypatch.setattr(assembling, "MOST_ANSWERS", 3)
    with pytest.raises(InputError, match="holds more than 3 answers"):
        read("inspect/before.eval")
    monkeypatch.setattr(tables, "MOST_ANSWERS", 3)
    with pytest.raises(InputError, match="holds more than 3 rows"):
        read("pyrit/before.sqlite")


class Archive:
    """An archive as Inspect writes one, made of other entries."""

    def __init__(self, path: Path, **entries: str) -> None:
        self.path = path
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in entries.items():
                archive.writestr(name, text)


def test_an_archive_that_is_cut(tmp_path: Path) -> None:
    whole = (FIXTURES / "inspect" / "strong-reject.eval").read_bytes()
    for n in (4, 40, len(whole) // 2, len(whole) - 1):
        assert "no whole zip archive" in refused(put(tmp_path / f"cut-{n}", whole[:n]))
    damaged, at = bytearray(whole), whole.index(b"samples/") + 100
    damaged[at : at + 200] = b"\0" * 200
    said = refused(put(tmp_path / "damaged", bytes(damaged)))
    assert "cannot be unpacked" in said or "is damaged" in said or "header.json is missing" in said


def test_an_archive_that_unpacks_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_BYTES", 1_000_000)
    made = Archive(tmp_path / "bomb", **{"header.json": " " * 10_000_000})
    assert "unpacks to more than" in refused(made.path)
    many = Archive(tmp_path / "many", **{f"samples/{n}.json": " " * 400_000 for n in range(4)})
    assert "unpacks to more than" in refused(many.path) or "not JSON" in refused(many.path)
    monkeypatch.setattr(reading, "MOST_ENTRIES", 3)
    assert "entries" in refused(many.path)


def test_a_small_file_of_more_values_than_any(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are counted before one is built, over all parts of a file or folder; commas in texts are none."""
    monkeypatch.setattr(reading, "MOST_VALUES", 1_000)
    many = "holds more than 1,000 values; split the run"
    lists = "[" + "[]," * 1_000 + "[]]"
    assert many in refused(put(tmp_path / "one.json", lists))
    assert many in refused(put(tmp_path / "pretty.json", lists.replace(",", ",\n")))
    assert many in refused(put(tmp_path / "lines.jsonl", "{}\n" * 1_000))
    assert many in refused(put(tmp_path / "long.jsonl", f"{lists}\n{lists}"))
    assert many in refused(
        Archive(tmp_path / "a.eval", **{f"{n}.json": "[" + "1," * 600 + "1]" for n in range(2)}).path
    )
    folder = tmp_path_folder(tmp_path)
    for n in range(2):
        put(folder / f"{n}.json", "[" + "1," * 600 + "1]")
    assert many in refused(folder)
    said = json.dumps([{"text": '[{,"\\' * 5_000}] * 100)
    assert read_content(put(tmp_path / "texts.json", said)).parts[""] == json.loads(said)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('""' * 500_000, 11),
        ('"' + "\\" * 999_999, 1),
        ("\\" * 1_000_000, 1),
        ('"' + "[" * 1_000_000, 1),
        ('"[",' * 500_000, 11),
        ('{"a": ",\\",", "b": [1, {}]}', 6),
    ],
)
def test_values_are_counted_outside_of_texts(text: str, count: int) -> None:
    assert reading._values(text, 10) == count


def test_a_file_beside_that_cannot_be_read_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    shutil.copytree(FIXTURES / "lm_eval" / "before", folder)
    (samples,) = folder.glob("samples*.jsonl")
    put(folder / "other.json", "{}")
    opened = os.open

    def closed(path: Any, *options: Any) -> int:
        if Path(path).name == "other.json":
            raise PermissionError(13, "Permission denied")
        return opened(path, *options)

    assert "other.json" in read_content(samples).parts
    monkeypatch.setattr(os, "open", closed)
    assert "other.json" not in read_content(samples).parts
    monkeypatch.setattr(Path, "iterdir", lambda _: opened(folder / "none", os.O_RDONLY))
    assert not read_content(samples).parts


def test_an_archive_that_lies_about_its_size(tmp_path: Path) -> None:
    """What it says is the most that is unpacked, whatever it holds."""
    whole = bytes(cramjam.zstd.compress(b"[" + b"1," * 1_000_000 + b"1]"))
    with pytest.raises((cramjam.DecompressionError, ValueError)):
        reading._by_method(whole, 93, 10)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", "1" * 1_000_000)
    raw = bytearray(buffer.getvalue())
    at = raw.index(b"PK\x01\x02") + 24
    raw[at : at + 4] = (10).to_bytes(4, "little")
    assert "is damaged" in refused(put(tmp_path / "liar", bytes(raw)))


def test_names_in_an_archive_are_only_names(tmp_path: Path) -> None:
    text = '{"eval": {}}'
    made = Archive(tmp_path / "slip", **{"../../escaped.json": text, "/etc/escaped.json": text})
    assert "written by no tool" in refused(made.path)
    assert not list(tmp_path.parent.rglob("escaped.json"))
    assert "holds no JSON" in refused(Archive(tmp_path / "pictures", **{"a.png": "x"}).path)


def test_an_entry_twice_and_an_encrypted_one(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "twice", "w") as archive:
        archive.writestr("header.json", "{}")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("header.json", "{}")
    assert "stands twice" in refused(tmp_path / "twice")
    raw = bytearray(Archive(tmp_path / "locked", **{"header.json": "{}"}).path.read_bytes())
    at = raw.index(b"PK\x01\x02") + 8
    raw[at] |= 1
    assert "is encrypted" in refused(put(tmp_path / "locked", bytes(raw)))


def test_links_in_a_folder_are_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for one in (FIXTURES / "helm" / "before").iterdir():
        (folder / one.name).symlink_to(one)
    assert "holds no JSON" in refused(folder)


def test_a_database_that_is_broken_or_busy(tmp_path: Path) -> None:
    whole = (FIXTURES / "pyrit" / "before.sqlite").read_bytes()
    for n in (16, 100, 5_000, len(whole) // 2):
        assert "no whole SQLite database" in refused(put(tmp_path / f"cut-{n}", whole[:n])) or n > 100
    hostile = tmp_path / "views.sqlite"
    with closing(sqlite3.connect(hostile)) as made:
        made.execute(
            "CREATE VIEW PromptMemoryEntries AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
            "SELECT i AS conversation_id FROM n"
        )
        made.execute('CREATE TABLE "a""b" (x)')
        made.execute('INSERT INTO "a""b" VALUES (1)')
        made.commit()
    assert "written by no tool" in refused(hostile)
    opened = put(tmp_path / "open.sqlite", whole)
    with closing(sqlite3.connect(opened)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        assert read("pyrit/before.sqlite", opened).result.status == "complete"
    assert read("pyrit/before.sqlite", opened).result.status == "complete"


def test_nothing_in_a_database_is_computed(tmp_path: Path) -> None:
    """Neither a column that the schema computes, nor a virtual table, nor a view under the name of a table."""
    path = tmp_path / "computed.sqlite"
    with closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE t (a, b GENERATED ALWAYS AS (zeroblob(90000000)), c AS (a || 'x') STORED)")
        made.execute("INSERT INTO t (a) VALUES ('said')")
        made.execute("CREATE VIEW v AS SELECT zeroblob(90000000) AS b")
        made.execute("PRAGMA writable_schema = ON")
        made.execute("INSERT INTO sqlite_master VALUES ('table', 'w', 'w', 0, 'CREATE VIRTUAL TABLE w USING none(x)')")
        made.commit()
    assert tables.read_tables(path.read_bytes(), "x") == {"t": ({"a": "said"},)}
    with closing(sqlite3.connect(path)) as made:
        made.execute("PRAGMA writable_schema = ON")
        made.execute("UPDATE sqlite_master SET name = 'v' WHERE name = 't'")
        made.execute("UPDATE sqlite_master SET name = 'z' WHERE type = 'view'")
        made.commit()
    with pytest.raises(InputError, match="no whole SQLite database"):
        tables.read_tables(path.read_bytes(), "x")


def test_a_database_of_more_than_any(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows from before a column have its default, which stands in the file once."""
    path = tmp_path / "defaults.sqlite"
    with closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE t (a)")
        made.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(50)])
        made.execute(f"ALTER TABLE t ADD COLUMN b DEFAULT '{'x' * 100_000}'")
        made.commit()
    assert len(tables.read_tables(path.read_bytes(), "x")["t"]) == 50
    monkeypatch.setattr(tables, "MOST_CELL_BYTES", 1024**2)
    with pytest.raises(InputError, match=r"^x: t: holds more than 1 MiB of text; split"):
        tables.read_tables(path.read_bytes(), "x")
    monkeypatch.setattr(tables, "MOST_CELLS", 20)
    with pytest.raises(InputError, match=r"^x: t: holds more than 20 values; split"):
        tables.read_tables(path.read_bytes(), "x")
    monkeypatch.setattr(tables, "_LONGEST_CELL", 10_000)
    with pytest.raises(InputError, match="no whole SQLite database"):
        tables.read_tables(path.read_bytes(), "x")


def edited(name: str, edit: Callable[[Any], None], tmp_path: Path) -> Path:
    """A JSON file with something else in it."""
    value = json.loads((FIXTURES / name).read_text())
    edit(value)
    return put(tmp_path / "edited.json", json.dumps(value))


def test_a_wrong_type_names_its_place(tmp_path: Path) -> None:
    def edit(log: Any) -> None:
        log["samples"][2]["output"]["choices"][0]["message"]["content"] = 7

    said = refused(edited("inspect/strong-reject.json", edit, tmp_path))
    assert "samples[2]: output: choices[0]: message: content: must be a list" in said


def test_ids_that_stand_twice(tmp_path: Path) -> None:
    def edit(log: Any) -> None:
        log["samples"][1]["id"] = log["samples"][0]["id"]

    assert "stands twice" in refused(edited("inspect/strong-reject.json", edit, tmp_path))


@pytest.mark.parametrize("depth", [300, 600, 880])
def test_options_that_are_nested_deep_are_read_or_refused(tmp_path: Path, depth: int) -> None:
    deep: list[Any] = []
    for _ in range(depth):
        deep = [deep]

    def inspect(log: Any) -> None:
        log["eval"]["task_args"] = {"a": deep}
        log["samples"][0]["target"] = deep

    def promptfoo(results: Any) -> None:
        results["results"]["results"][0]["testCase"]["options"] = {"a": deep}

    for name, edit in (("inspect/strong-reject.json", inspect), ("promptfoo/before.json", promptfoo)):
        said = told_or_read(edited(name, edit, tmp_path), name)
        assert not said or "nested too deep" in said


def test_a_score_that_is_no_number_is_unknown(tmp_path: Path) -> None:
    def edit(log: Any) -> None:
        log["samples"][0]["scores"]["strong_reject_scorer"]["value"]["refusal"] = float("nan")

    found = read("inspect/strong-reject.json", edited("inspect/strong-reject.json", edit, tmp_path))
    assert found.left_out == {"unknown: no verdict": 1}

    def endless(log: Any) -> None:
        log["samples"][0]["scores"]["strong_reject_scorer"]["value"]["refusal"] = float("inf")

    assert "must be finite" in refused(edited("inspect/strong-reject.json", endless, tmp_path))


def test_a_file_that_was_changed_contradicts_its_own_sums(tmp_path: Path) -> None:
    """One verdict turned good: each tool's own figure tells on it, where the file holds one."""

    def passes(results: Any) -> None:
        one = next(row for row in results["results"]["results"] if not row["success"])
        one.update(success=True, failureReason=0)

    said = refused(edited("promptfoo/after.json", passes, tmp_path), "promptfoo/after.json")
    assert "cut or changed" in said
    rows = [json.loads(line) for line in (FIXTURES / "garak/after.report.jsonl").read_text().splitlines()]
    hit = next(
        row for row in rows if row.get("detector_results") and 1.0 in next(iter(row["detector_results"].values()))
    )
    hit["detector_results"] = {name: [0.0] for name in hit["detector_results"]}
    changed = put(tmp_path / "report", "\n".join(map(json.dumps, rows)))
    assert "cut or changed" in refused(changed, "garak/after.report.jsonl")
    for name, file, old, new in (
        ("lm_eval/after", "samples", '"complied": 1', '"complied": 0'),
        ("helm/after", "per_instance", '"safety_score"', '"safety_other"'),
    ):
        folder = tmp_path / name.replace("/", "-")
        shutil.copytree(FIXTURES / name, folder)
        (path,) = (one for one in folder.iterdir() if one.name.startswith(file))
        path.write_text(path.read_text().replace(old, new, 1))
        assert "changed" in refused(folder, name)


def test_a_report_that_garak_did_not_end_is_incomplete(tmp_path: Path) -> None:
    lines = (FIXTURES / "garak/before.report.jsonl").read_text().splitlines()
    kept = [line for line in lines if '"completion"' not in line]
    found = read("garak/before.report.jsonl", put(tmp_path / "cut", "\n".join(kept)))
    assert found.result.status == "incomplete"
    torn = "\n".join([*lines[:-1], lines[-1][: len(lines[-1]) // 2]])
    assert f":{len(lines)}: not JSON" in refused(put(tmp_path / "torn", torn), "garak/before.report.jsonl")


@pytest.mark.parametrize("kind", ["metric_specs", "annotators"])
def test_a_judge_that_is_told_something_else_is_another_scorer(kind: str, tmp_path: Path) -> None:
    name = "helm/before"
    folder = tmp_path / "run"
    shutil.copytree(FIXTURES / name, folder)
    (path,) = folder.glob("run_spec*.json")
    versions = []
    for args in ({"model": "a", "n": 1}, {"n": 1, "model": "a"}, {"n": 1, "model": "b"}, {"model": "\ud800"}):
        spec = json.loads(path.read_text())
        spec[kind] = [{"class_name": "Judge", "args": args}]
        put(path, json.dumps(spec))
        versions.append(tuple(read(name, folder).result.scorers.values()))
    assert versions[0] == versions[1]
    assert len(set(versions)) == 3


SEEDS = 21
ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    2**70,
    1e308,
    float("nan"),
    "",
    "\ud800",
    "x" * 5_000,
    [],
    [[]],
    {},
    {"a": 1},
    0.5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of everything in a JSON value."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*path, key))


def mutated(content: Content, chance: random.Random) -> Content:
    """The same with some values of its parts and rows replaced, removed or doubled."""
    whole = copy.deepcopy({"parts": dict(content.parts), "rows": {name: list(r) for name, r in content.rows.items()}})
    for _ in range(chance.choice((1, 1, 2, 5))):
        found = [path for path in places(whole) if len(path) > 2]
        *path, last = chance.choice(found)
        node = whole
        for key in path:
            node = node[key]
        match chance.randrange(4):
            case 0:
                del node[last]
            case 1 if isinstance(node, list):
                node.append(copy.deepcopy(node[last]))
            case _:
                node[last] = copy.deepcopy(chance.choice(ODD))
    rows = {name: tuple(found) for name, found in whole["rows"].items()}
    return Content(content.name, content.sha256, content.modified, whole["parts"], rows)


def told_or_read(what: Content | Path, name: str) -> str:
    """What is said of it; nothing when it is read as a run that can be written and read again."""
    try:
        found = imported(read_content(what) if isinstance(what, Path) else what, order(TOLD[name]))
    except InputError as error:
        return str(error)
    assert all(RunResult.decode(one.result.encode()) == one.result for one in found)
    return ""


@pytest.mark.parametrize("name", TOLD)
def test_whatever_is_changed_is_told_in_one_line_or_read(name: str) -> None:
    content = read_content(FIXTURES / name)
    chance = random.Random(name)
    for _ in range(SEEDS):
        said = told_or_read(mutated(content, chance), name)
        assert "\n" not in said
        assert len(said) < 1_500


@pytest.mark.parametrize("name", [name for name in TOLD if (FIXTURES / name).is_file()])
def test_whatever_bytes_are_changed_is_told_in_one_line_or_read(name: str, tmp_path: Path) -> None:
    whole = (FIXTURES / name).read_bytes()
    chance = random.Random(name)
    for n in range(SEEDS // 3):
        odd = bytearray(whole)
        for _ in range(chance.choice((1, 3, 30))):
            odd[chance.randrange(len(odd))] = chance.randrange(256)
        path = put(tmp_path / str(n), bytes(odd[: chance.choice((len(odd), chance.randrange(len(odd))))]))
        assert "\n" not in told_or_read(path, name)


def test_bounds_are_what_the_product_holds() -> None:
    assert foreign.MOST_ANSWERS == 100_000
