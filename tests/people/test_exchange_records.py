"""Tables as programs write them: every record is read with its line, or said to be broken with its line."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from newsletter.errors import ConfigError
from newsletter.people.exchange.guard import guarded, unguarded
from newsletter.people.exchange.records import LONGEST_LINE, Record, open_table

HEADER = ("email", "name")
ADA = ("ada@example.com", "Ada")


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "list.csv"


def read(path: Path, data: bytes | str, encoding: str | None = None) -> tuple[tuple[str, ...], list[Record]]:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    with open_table(path, encoding) as table:
        return table.header, list(table.records())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_table_is_read_in_whatever_form_a_program_saved_it(
    path: Path, encoding: str, newline: str, delimiter: str
) -> None:
    lines = ["email,name", "ada@example.com,Ada", 'zoë@example.com,"Zoë, ""Z"""']
    text = newline.join(lines).replace(",", delimiter).replace(f"Zoë{delimiter}", "Zoë,") + newline

    header, records = read(path, text.encode(encoding))

    assert HEADER == header
    assert [Record(2, ADA), Record(3, ("zoë@example.com", 'Zoë, "Z"'))] == records


def test_the_line_of_a_record_is_where_it_begins(path: Path) -> None:
    _, records = read(path, 'email,name\n\n"a@x.test","first\nsecond\n\nfourth"\n,,\nb@x.test\n\n\nc@x.test,C\n')

    assert [3, 8, 11] == [record.line for record in records]
    assert ("b@x.test", "") == records[1].cells


def test_excel_may_name_its_separator(path: Path) -> None:
    assert (HEADER, [Record(3, ADA)]) == read(path, "sep=;\r\nemail;name\r\nada@example.com;Ada\r\n")


def test_a_list_of_addresses_needs_no_header(path: Path) -> None:
    assert (("email",), [Record(1, ("a@x.test",)), Record(3, ("b@x.test",))]) == read(path, "a@x.test\n\nb@x.test")


def test_a_broken_record_costs_its_line_and_no_more(path: Path) -> None:
    text = 'email,name\na@x.test,"never closed\nb@x.test,B\nc@x.test,"C" junk\nd@x.test,D,more\ne@x.test,E\nf@x.test,"F'
    _, records = read(path, text)

    assert [
        (2, "a quotation mark that is opened here is never closed"),
        (3, None),
        (4, "after a closing quotation mark the cell must end; one inside a cell is written twice"),
        (5, "has 3 cells, but the header names 2 columns"),
        (6, None),
        (7, "a quotation mark that is opened here is never closed"),
    ] == [(record.line, record.trouble) for record in records]
    assert ("a@x.test", "never closed") == records[0].cells


def test_a_stray_quotation_mark_does_not_swallow_a_long_list(path: Path) -> None:
    rows = [f"p{n}@x.test,P" for n in range(30_000)]
    rows[100] = 'p100@x.test,"P'
    _, records = read(path, "\n".join(["email,name", *rows]))

    assert 30_000 == len(records)
    assert [102] == [record.line for record in records if record.trouble]


def test_a_line_nobody_writes_is_cut_and_said(path: Path) -> None:
    _, records = read(path, "email,name\na@x.test," + "x" * (3 * LONGEST_LINE) + "\nb@x.test,B\n")

    assert [(2, f"is longer than {LONGEST_LINE:,} characters"), (3, None)] == [(r.line, r.trouble) for r in records]


def test_bytes_that_are_no_utf8_are_named_unless_their_encoding_is(path: Path) -> None:
    data = "email,name\na@x.test,café\nb@x.test,B\n".encode("cp1252")

    _, records = read(path, data)
    assert (
        "byte 0xE9 is not UTF-8: save the file as UTF-8, or name its --encoding",
        None,
    ) == (records[0].trouble, records[1].trouble)
    assert "café" == read(path, data, "cp1252")[1][0].cells[1]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("", "list.csv: is empty"),
        ("\n \n", "list.csv: is empty"),
        ("ada@example.com,Ada\n", "list.csv:1: there is no header: the first line must name the columns"),
        ("email,name,name\na@x.test\n", "list.csv:1: two columns are called 'name': rename one"),
        ('"email,name\n', "list.csv:1: a quotation mark that is opened here is never closed"),
        (",".join(f"c{n}" for n in range(2000)), "list.csv:1: has more than 1,000 columns"),
        (
            b"\xff\xfe" + "email\na@x.test\n".encode("utf-16-le") + b"\x00\xd8\x00",
            "list.csv:3: cannot be read as utf-16",
        ),
    ],
)
def test_what_is_no_table_is_refused_in_words(path: Path, data: bytes | str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(path, data)
    assert str(caught.value).startswith(said)


def test_an_encoding_nobody_knows_is_refused(path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no encoding 'klingon'"):
        read(path, "email\n", "klingon")


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12) | st.sampled_from(
    ["", "=1+2", "'=1", "''@x", "-1", "+49", "\tx", '"', ",", "a\nb", "a\r\nb", ";", "'"]
)


@settings(max_examples=50)
@given(
    st.lists(st.lists(cells, min_size=3, max_size=3), max_size=6),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
@example([["", "", "'"]], ",", "\n", "utf-8")
@example([["", "", "\r"]], ",", "\n", "utf-8")
def test_whatever_stands_in_the_cells_comes_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], delimiter: str, newline: str, encoding: str
) -> None:
    buffer = io.StringIO()
    # The module quotes a lone CR only where it is part of its line end; unquoted before LF it would be one.
    has_cr = any("\r" in cell for row in rows for cell in row)
    writer = csv.writer(
        buffer,
        delimiter=delimiter,
        lineterminator=newline,
        quoting=csv.QUOTE_ALL if has_cr else csv.QUOTE_MINIMAL,
    )
    writer.writerow(["email", "b", "c"])
    writer.writerows([[guarded(cell) for cell in row] for row in rows])
    path = tmp_path_factory.mktemp("table") / "list.csv"

    header, records = read(path, buffer.getvalue().encode(encoding))

    assert ("email", "b", "c") == header
    assert [tuple(row) for row in rows if any(guarded(cell).strip() for cell in row)] == [
        record.cells for record in records
    ]


@given(st.text() | st.sampled_from(["=1", "'=1", "''=1", "+1", "@a", "\t", "\r", "'", "'a"]))
def test_no_cell_is_a_formula_and_every_cell_comes_back(cell: str) -> None:
    assert not guarded(cell).startswith(("=", "+", "-", "@", "\t", "\r"))
    assert cell == unguarded(guarded(cell))


@settings(max_examples=150)
@given(st.binary(max_size=400) | st.text('",;\n\r\t a@\x00é|', max_size=200).map(str.encode))
def test_no_bytes_at_all_make_a_traceback(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("table") / "list.csv"
    try:
        _, records = read(path, b"email,b\n" + data)
    except ConfigError:
        return
    lines = [record.line for record in records]
    assert sorted(set(lines)) == lines, "each record begins in a line of its own"
