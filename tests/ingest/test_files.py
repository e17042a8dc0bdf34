"""Files that are no lines of JSON: one document, an array, a table, protobuf; each is read and explained alike."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from services.cli.app import app as whole
from services.cli.ingest import app
from services.errors import InputError
from services.ingest.files import records
from services.ingest.jsonl import decoded
from services.ports import Received
from services.score.scored_text import answered
from tests.ingest.malformed import fixture, raw_of
from tests.support.case import exchange, line


def explained(file: Path, *more: str) -> Any:
    out = file.with_suffix(".out.json")
    ran = CliRunner().invoke(app, ["explain", str(file), "--json", str(out), *more])
    assert ran.exit_code in {0, 1}, ran.exception
    return json.loads(out.read_text())


def exchanges(file: Path) -> list[Any]:
    return [one.exchange for one in decoded(records(file)) if isinstance(one, Received)]


@pytest.mark.parametrize("form", ["pretty", "array", "pretty array", "wrapped", "lines"])
def test_one_document_is_read_as_its_lines_would_be(tmp_path: Path, form: str) -> None:
    some = [exchange("a"), fixture("openai_chat"), {"x": 1}]
    text = {
        "pretty": json.dumps(fixture("openai_chat"), indent=2),
        "array": json.dumps(some),
        "pretty array": "\ufeff" + json.dumps(some, indent=1),
        "wrapped": json.dumps({"exchanges": some}, indent=1),
        "lines": "\n".join(json.dumps(one) for one in some),
    }[form]
    file = tmp_path / "some.json"
    file.write_text(text)
    told = explained(file)
    assert told["openai"]["exchanges"] == 1
    if form != "pretty":
        assert (told["native"]["exchanges"], told["unknown"]["records"]) == (1, 1)
        assert [one.position.offset for one in records(file)] == [1, 2, 3]


def test_protobuf_is_read_alone_and_as_the_collectors_file_exporter_writes_it(tmp_path: Path) -> None:
    some = [fixture(name) for name in ("otlp_semconv_proto", "otlp_details_proto", "otlp_openinference_proto")]
    file = tmp_path / "otlp.bin"
    file.write_bytes(some[0])
    assert explained(file)["otlp"]["exchanges"] == 1
    file.write_bytes(b"".join(len(one).to_bytes(4) + one for one in some))
    told = explained(file)["otlp"]
    assert (told["records"], told["exchanges"]) == (3, 4)
    file.write_bytes(b"".join(len(one).to_bytes(4) + one for one in some)[:-1])
    with pytest.raises(InputError, match="read as one JSON document"):
        list(records(file))


def test_a_table_has_its_columns_by_their_usual_names_and_the_others_become_tags(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    messages = json.dumps([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}])
    file.write_text(
        "Question;Answer;Model;created_at;prompt_tokens;latency_ms;Team\n"
        '"Where\nis ""it""?";"There; or not";gpt-4;2026-11-24T18:00:00Z;21;12.5;shop\n'
        f'"{messages.replace(chr(34), chr(34) * 2)}";yes;gpt-4;;x;;\n'
        ";;;;;;\n"
        "a;b;gpt-4;soon;;;\n"
    )
    told = explained(file, "--route", "shop/prod")
    assert (told["csv"]["records"], told["csv"]["exchanges"]) == (3, 1)
    assert sorted(told["csv"]["faults"]) == [
        "ts: must be ISO 8601 text in [2000, 2100), for example 2026-11-24T18:00:00Z",
        "usage.input_tokens: must be a whole number of at least 0, without quotes",
    ]
    file.write_text(file.read_text().replace(";x;;", ";;;").replace(";soon;", ";;"))
    out = tmp_path / "native.jsonl"
    ran = CliRunner().invoke(whole, ["import", "--from", "csv", str(file), "--out", str(out), "--route", "shop/prod"])
    assert ran.exit_code == 0, ran.output
    first, second, third = exchanges(out)
    assert (first.prompt, first.response, first.usage.input_tokens, first.latency_ms, first.tags) == (
        'Where\nis "it"?',
        "There; or not",
        21,
        12.5,
        {"Team": "shop"},
    )
    assert [one.role for one in second.messages] == ["system", "user"]
    assert (third.model.requested, third.route) == ("gpt-4", "shop/prod")


def table(file: Path, prompt: str, response: str) -> Path:
    with file.open("w", newline="") as out:
        csv.writer(out).writerows([("prompt", "response", "model", "route"), (prompt, response, "gpt-4", "shop/prod")])
    return file


@pytest.mark.parametrize(
    "said",
    [
        '{"sentiment":"positive","email":"erika@web.de"}',
        '{"error":"none","email":"erika@web.de"}',
        '{"content":{"title":"A"}}',
        '{"refusal":false}',
        '{"content":null,"email":"erika@web.de"}',
        "[1,2,3]",
        "[]",
        "{}",
    ],
)
def test_an_answer_or_a_prompt_that_is_json_is_what_was_said(tmp_path: Path, said: str) -> None:
    [found] = exchanges(table(tmp_path / "rows.csv", said, said))
    assert (found.prompt, found.answer.text, answered(found.answer)) == (said, said, True)


@pytest.mark.parametrize("said", ['["a","b"]', '{"q":"x"}', '[{"q":"x"}]', '[{"role":7}]'])
def test_a_prompt_of_json_without_roles_is_text(tmp_path: Path, said: str) -> None:
    [found] = exchanges(table(tmp_path / "rows.csv", said, "yes"))
    assert found.prompt == said


@pytest.mark.parametrize(
    ("said", "text", "is_answer"),
    [
        ('{"content":"Hi","role":"assistant"}', "Hi", True),
        ('{"content":[{"type":"text","text":"Hi"}],"finish_reason":"stop"}', "Hi", True),
        ('{"refusal":"No."}', None, True),
        ('{"tool_calls":[{"function":{"name":"f"}}],"content":null}', None, True),
        ('{"error":{"message":"timeout"}}', None, False),
    ],
)
def test_a_structured_response_in_a_cell_is_read_as_one(
    tmp_path: Path, said: str, text: str | None, is_answer: bool
) -> None:
    [found] = exchanges(table(tmp_path / "rows.csv", "Hi", said))
    assert (found.answer.text, answered(found.answer)) == (text, is_answer)


def test_a_table_without_what_is_needed_names_every_column_that_is_missing(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("text,Model\na,b\n")
    with pytest.raises(InputError) as error:
        list(records(file))
    assert "prompt (prompt, input, question" in str(error.value)
    assert "response (response, output, answer" in str(error.value)
    assert "model.requested" not in str(error.value)
    file.write_text("prompt,response,model\n" + '"a' + "b" * 20_000_000)
    with pytest.raises(InputError, match="row 2: field larger than"):
        list(records(file))


HEAD = b"prompt,response,model,route\n"
GOOD = b"Hi,yes,gpt-4,shop/prod\n"


@pytest.mark.parametrize(
    ("text", "said", "remedy"),
    [
        (HEAD + GOOD + b'"Hi,yes,gpt-4,shop/prod\n' + GOOD, "row 3: a quote is opened and not closed", "line 3;"),
        (HEAD + b'"a\nb",yes,gpt-4,shop/prod\n\nHi,"yes,gpt-4,shop/prod', "row 4: a quote is opened", "line 5;"),
        (HEAD + GOOD + b'"He said "hi" then",yes,gpt-4,shop/prod\n', "row 3: ',' expected", 'write "" for a quote'),
        (HEAD + GOOD + b"Hi, you,yes,gpt-4,shop/prod\n", "row 3: has 5 cells, and the first row has 4", "put quotes"),
        (HEAD + b"Hi,yes\n" + GOOD, "row 2: has 2 cells, and the first row has 4", "put quotes"),
        (HEAD + GOOD + b"Caf\xe9,yes,gpt-4,shop/prod\n", "row 3: not UTF-8", "save the table as UTF-8"),
        ((HEAD + GOOD).decode().encode("utf-16"), "row 1: not UTF-8", "save the table as UTF-8"),
        (HEAD + GOOD + b"H\0i,yes,gpt-4,shop/prod\n", "row 3: holds a NUL", "remove it"),
    ],
)
@pytest.mark.parametrize("command", ["explain", "import"])
def test_a_table_that_is_broken_is_refused_as_a_whole_with_row_and_remedy(
    tmp_path: Path, text: bytes, said: str, remedy: str, command: str
) -> None:
    file, out = tmp_path / "rows.csv", tmp_path / "native.jsonl"
    file.write_bytes(text)
    out.write_text("of yesterday\n")
    asked = ["import", "--from", "csv", str(file), "--out", str(out)]
    ran = CliRunner().invoke(whole, asked if command == "import" else ["ingest", "explain", str(file)])
    assert isinstance(ran.exception, InputError)
    told = str(ran.exception)
    assert told.startswith(f"{file}: {said}")
    assert (remedy in told, "nothing was read" in told, "\n" in told) == (True, True, False)
    assert "gpt-4" not in told
    assert (file.read_bytes(), out.read_text()) == (text, "of yesterday\n")


def test_a_table_with_a_mark_at_its_begin_and_empty_cells_at_its_end_is_read(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes("\ufeff\n".encode() + HEAD + 'Caf\u00e9,"said ""no""",gpt-4,shop/prod,, \r\n'.encode() + b" , \n")
    [found] = exchanges(file)
    assert (found.prompt, found.answer.text, found.route) == ("Caf\u00e9", 'said "no"', "shop/prod")


def test_lines_stay_lines(tmp_path: Path) -> None:
    file = tmp_path / "lines.jsonl"
    file.write_bytes(
        b"\n" + line(exchange("a")) + b"\n{broken\n" + line(exchange("b")) + b"\n" + raw_of(fixture("litellm"))
    )
    assert [one.position.offset for one in records(file)] == [2, 3, 4, 5]
    assert len(exchanges(file)) == 3
    file.write_bytes(b"{broken\n" + line(exchange("b")))
    assert len(exchanges(file)) == 1
