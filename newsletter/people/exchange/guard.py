"""Cells that a spreadsheet would take for a formula, made harmless and brought back.

A cell that begins with = + - @, a tab or a carriage return may be run by the
program that opens the table (OWASP, "CSV Injection"): it gets an apostrophe in
front, and so does one that has one already, so that nothing is lost on the way
back.
"""

import re

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_GUARDED = re.compile(r"'+[=+\-@\t\r]")


def guarded(cell: str) -> str:
    """A cell as it may be opened by a spreadsheet."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def unguarded(cell: str) -> str:
    """What a cell was before it was guarded."""
    return cell[1:] if cell[:1] == "'" and _GUARDED.match(cell) else cell
