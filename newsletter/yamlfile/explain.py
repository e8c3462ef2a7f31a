"""What a YAML parser's complaint means for the person who wrote the line."""

import re

import yaml

from newsletter.text import one_line

#: The parser's words, and ours.
_WORDS = (
    ("sequence entries are not allowed", "a list begins on a line of its own"),
    ("found unknown escape character", "a backslash has a meaning between double quotes: use single quotes"),
    ("did not find expected", "does not line up with the lines above it"),
    ("expected <block end>", "does not line up with the lines above it"),
    ("found undefined tag handle", "text that begins with ! must be quoted"),
)


def explain(error: yaml.MarkedYAMLError, line: str) -> tuple[int, str]:
    """Say where to look, and what is wrong there.

    Args:
        error: the complaint, with the mark where the parser stopped.
        line: the text of that line.

    Returns:
        The line to look at, from 1, and the words.
    """
    problem, context, place = str(error.problem or ""), str(error.context or ""), error.problem_mark
    assert place is not None
    number = place.line + 1
    began = number if error.context_mark is None else error.context_mark.line + 1
    if "quoted scalar" in context and ("end of stream" in problem or "document" in problem):
        return began, "a quotation mark that is opened here is never closed"
    if "could not find expected ':'" in problem:
        return began, "is neither `key: value` nor `- item`"
    return number, _at(problem, began, line, line[place.column : place.column + 1])


def _at(problem: str, began: int, line: str, character: str) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    if "\t" in indent or "tab character" in problem or character == "\t":
        return "a tab cannot indent: use blanks"
    if "cannot start any token" in problem:
        return f"text that begins with {character or 'this character'} must be quoted"
    if "expected ',' or" in problem:
        bracket = "]" if "]" in problem else "}"
        return f"a comma or the closing {bracket} is missing (the bracket was opened in line {began})"
    if "mapping values are not allowed" in problem:
        if len(re.findall(r":(?:\s|$)", line)) > 1:
            return "a second `:` in one line: quote the text, or begin a new line for the key"
        return "does not line up with the lines above it"
    words = next((ours for theirs, ours in _WORDS if theirs in problem), None)
    return words or one_line(problem, 200) or "cannot be read as YAML"
