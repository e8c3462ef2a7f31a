"""Tables for programs: what is printed where no terminal is."""

import pytest

from newsletter.cli.output import Output


def test_a_table_for_a_pipe_has_a_line_a_row_and_its_columns_stand_under_their_heads(
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = Output(json=False, quiet=False, verbose=False)

    out.table(("feed", ">new", "note"), [("新聞", 12, "x" * 300), ("Wire", None, "\x1b[31m")], title="Feeds")

    assert [
        "Feeds",
        "feed  new  note",
        f"新聞   12  {'x' * 300}",
        "Wire       \ufffd[31m",
    ] == capsys.readouterr().out.splitlines()
