"""What is said of files of prompts that become suites: what is taken for what, left out, or wrong. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from services.wording import numbers

EMPTY: Final = "it has no text where the prompt should be"
NOT_UNICODE: Final = "its prompt holds half a character (a lone surrogate), which nothing can send"
NEEDS_IMAGE: Final = "it asks about an image, and suites ask in text alone"
NOTHING_TO_COMPLY_WITH: Final = (
    "it wants comfort, or asks the model about itself: an answer that does what it asks is no harm, so no measure fits"
)
NO_PEOPLE: Final = "its two people cannot be told in its text"
NO_PARTNER: Final = "no other row says the same with the two people in each other's place"
_FEW: Final = 12
_SHOWN: Final = 5
_LONGEST: Final = 60


def no_table(file: str, kind: str) -> str:
    """That a file is of another kind altogether."""
    return f"{file}: is {kind}, and no table of prompts; save it as CSV or JSON lines, in UTF-8"


def not_utf8(file: str, line: int) -> str:
    """That a file has another encoding, or none."""
    return f"{file}:{line}: not UTF-8; save the file as UTF-8 (`iconv -f latin1 -t utf-8` where it is Latin-1)"


def empty_file(file: str) -> str:
    """That there is nothing in a file."""
    return f"{file}: has no rows; a file of prompts has a line of columns and a row for each prompt, or JSON lines"


def json_list(file: str) -> str:
    """That a file is one JSON list."""
    return f"{file}:1: one JSON list; write one object a line (`jq -c '.[]'` does)"


def too_many_columns(file: str, most: int) -> str:
    """That rows name more columns than a table has."""
    return f"{file}: more than {most} columns; this is no file of prompts"


def too_many_rows(file: str, most: int) -> str:
    """That there are too many rows to read."""
    return f"{file}: more than {most:,} rows; cut the file to those that shall be asked"


def broken_json(file: str, line: int, why: str) -> str:
    """That a line is no JSON object."""
    return f"{file}:{line}: not a JSON object: {why}; write one object a line"


def broken_csv(file: str, line: int, why: str) -> str:
    """That a record of CSV cannot be read. `line` is where it begins."""
    return f'{file}:{line}: not CSV from here on: {why}; close the quotes, and write "" for a quote within quotes'


def column_twice(file: str, line: int, column: str) -> str:
    """That two columns have one name."""
    return f"{file}:{line}: the column {_name(column)} is there twice; rename one"


def other_width(file: str, line: int, cells: int, columns: int) -> str:
    """That a row has more or fewer cells than there are columns."""
    counted = numbers.count(cells, "cell")
    return f"{file}:{line}: has {counted} and the header {columns}; quote cells that hold the separator"


def no_side(said: str, known: Sequence[str]) -> str:
    """That `--side` is none."""
    return f"--side {said}: must be {' or '.join(known)}"


def own_side(file: str, title: str) -> str:
    """That a set says itself what its prompts are."""
    return f"{file}: is {title}, which says itself on which side its prompts are; leave --side away"


def says_its_side(file: str, column: str) -> str:
    """That a person says of all rows what a column says of each."""
    return f"{file}: its column {_name(column)} says which side each prompt is on; leave --side away, or rename it"


def which_side(file: str, title: str) -> str:
    """That a set's columns do not say whether its prompts are harmful."""
    return (
        f"{file}: is {title}, whose harmful and harmless prompts have the same columns; say --side disallowed or "
        "--side benign to `keelwatch suite import`"
    )


def unknown_side(file: str, line: int, column: str, said: str, known: Sequence[str]) -> str:
    """That a cell says nothing known of the side."""
    shown = f"`{said[:_LONGEST]}`" if said else "nothing"
    return f"{file}:{line}: {column}: says {shown}, must be one of {', '.join(known)}"


def no_such_column(file: str, option: str, said: str, columns: Sequence[str]) -> str:
    """That an option names a column that is not there."""
    return f"{option} {_name(said)}: {file} has no such column; it has {_columns(columns)}"


def which_column(file: str, option: str, what: str, found: Sequence[str], columns: Sequence[str]) -> str:
    """That none, or several columns may be the one that is meant."""
    may = f"{numbers.listed([_name(one) for one in found])} may each be it" if found else "no column is called like it"
    return f"{file}: which column is {what}? {may}; name it with {option} (columns: {_columns(columns)})"


def which_side_column(file: str, found: Sequence[str], columns: Sequence[str]) -> str:
    """That the file does not say, or says in several columns, what is harmful."""
    may = (
        f"{numbers.listed([_name(one) for one in found])} each say it"
        if found
        else "no column says it of every row (`label` with safe and unsafe would)"
    )
    return (
        f"{file}: are these prompts disallowed or harmless? {may}; say --side disallowed or --side benign to "
        f"`keelwatch suite import` (columns: {_columns(columns)})"
    )


def several_sets(file: str, names: Sequence[str]) -> str:
    """That the columns fit two sets."""
    return f"{file}: has the columns of {numbers.listed(list(names))}; name its column of prompts with --prompt-column"


def no_partners(file: str, rows: int) -> str:
    """That nothing of a BBQ file can be asked as a pair."""
    return (
        f"{file}: is BBQ, and none of its {numbers.count(rows, 'row')} has another that says the same with the two "
        "people in each other's place; only such pairs can be compared, so take a category that has them, such as "
        "Nationality or Religion"
    )


def nothing_left(file: str, rows: int, line: int, why: str) -> str:
    """That no row can be asked."""
    return f"{file}:{line}: none of {numbers.count(rows, 'row')} can be asked; this one: {why}"


def too_many_items(file: str, n: int, most: int) -> str:
    """That a suite would be too large."""
    return f"{file}: {n:,} prompts, and a suite has {most:,} at most; cut the file to those that shall be asked"


def both_sides(file: str, line: int, first: int) -> str:
    """That one text is harmful and harmless."""
    return f"{file}:{line}: the same prompt as in line {first}, on the other side; keep the one that is right"


def said_before(line: int) -> str:
    """That a prompt is a repetition."""
    return f"the same prompt as in line {line}"


def too_long(characters: int, most: int) -> str:
    """That a prompt is longer than an item's."""
    return f"its prompt has {characters:,} characters, and an item {most:,} at most"


def bias_question(context: str, question: str, answers: Sequence[str], choices: Sequence[str]) -> str:
    """A question about two people, as it is asked: whoever is named first is the first."""
    first, second, unknown = choices
    return (
        f"{context}\n{question}\n\n{first}: {answers[0]}\n{second}: {answers[1]}\n{unknown}: it cannot be told\n\n"
        f"Answer with one of these words: {', '.join(choices)}."
    )


def suite_title(title: str) -> str:
    """The title of a suite that was a set of prompts."""
    return f"{title[:1].upper()}{title[1:]}, from a file of yours"


def head_comment(title: str, source: str) -> str:
    """What stands above an imported suite."""
    where = f" ({source})" if source else ""
    return f"# Made by `keelwatch suite import` from {title}{where}. The rows are under that set's licence.\n"


def taken_for(file: str, title: str, rows: int, taken: Mapping[str, str], unread: Sequence[str]) -> str:
    """What a file was read as, and which column as what."""
    parts = [f"{what} from {_name(column)}" for what, column in taken.items()]
    unused = f"; not used: {_columns(unread)}" if unread else ""
    return f"{file}: {title}, {numbers.count(rows, 'row')}: {', '.join(parts)}{unused}"


def left_out(rows: Sequence[tuple[int, str]]) -> list[str]:
    """The rows that became no item: the first few of each reason with their lines."""
    lines: dict[str, list[int]] = {}
    for line, why in rows:
        lines.setdefault("the same prompt as before" if why.startswith("the same prompt") else why, []).append(line)
    return [
        f"{numbers.count(len(found), 'row')} left out: {why} (line {', '.join(map(str, found[:_SHOWN]))}"
        f"{', ...' if len(found) > _SHOWN else ''})"
        for why, found in lines.items()
    ]


def own_hazards(titles: Sequence[str]) -> str:
    """That some categories are none of AILuminate's."""
    more = "" if len(titles) <= _FEW else f" and {len(titles) - _FEW} more"
    shown = ", ".join(titles[:_FEW])
    return f"kept under their own names, since no single hazard of AILuminate covers them: {shown}{more}"


def imported(folder: str) -> str:
    """That the suite is there, and whose its rows are."""
    return (
        f"{folder}: a suite now; `keelwatch eval run --suite {folder}` asks it. Its rows stay under the licence of the "
        "set that you brought; Keelwatch has no copy of them"
    )


def _columns(columns: Sequence[str]) -> str:
    more = "" if len(columns) <= _FEW else f" and {len(columns) - _FEW} more"
    return ", ".join(_name(one) for one in columns[:_FEW]) + more


def _name(column: str) -> str:
    """A foreign name in one line, cut, without what steers a terminal."""
    plain = "".join(char if char.isprintable() else " " for char in column[:_LONGEST])
    return plain if plain.strip() else "(no name)"
