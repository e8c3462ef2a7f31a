"""Writing values as YAML, in the style a person would use.

Text is quoted only where it must be: where any version of YAML would take it
for something else, or where a reader would have to think.
"""

import json
import re
from collections.abc import Mapping, Sequence

from newsletter.yamlfile.values import not_text

Data = str | int | Sequence["Data"] | Mapping[str, "Data"]

#: Begins with a letter or a digit, holds nothing that means something inside a line, in either style.
_PLAIN = re.compile(r"[^\W_](?:[\w.@+/%=?~()$;'-]|&(?=\S)|:(?=[\w/])| (?=[\w(./@+]))*")
_UNPRINTABLE = re.compile("[\x7f-\xa0\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ufff0-\uffff]")
_LONGEST_LINE = 100


def scalar(value: str | int) -> str:
    """Write one value; the same text serves in block and in flow style."""
    if isinstance(value, int):
        return str(value).lower()
    if _PLAIN.fullmatch(value) and value.isprintable() and not_text(value) is None:
        return value
    return _quoted(value)


def scalar_like(old: str, value: str) -> str:
    """Write a text with the quotation marks of the one it replaces, where that can be."""
    if old.startswith('"'):
        return _quoted(value)
    if old.startswith("'") and value.isprintable() and not _UNPRINTABLE.search(value):
        return f"""'{value.replace("'", "''")}'"""
    return scalar(value)


def _quoted(value: str) -> str:
    # JSON's escapes are YAML's (YAML 1.1 §5.6).
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))


def flow(value: Data) -> str:
    """Write a value on one line: `[a, b]`, `{key: value}`."""
    if isinstance(value, str | int):
        return scalar(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(key)}: {flow(item)}" for key, item in value.items()) + "}"
    return "[" + ", ".join(flow(item) for item in value) + "]"


def block_item(value: Data, indent: int) -> list[str]:
    """Write a value as an item of a list, one key a line, from the column `indent`.

    What is inside a key's value stands on the key's line.
    """
    margin = " " * indent
    if not isinstance(value, Mapping) or not value:
        return [f"{margin}- {flow(value)}"]
    first, *rest = (f"{scalar(key)}: {flow(item)}" for key, item in value.items())
    return [f"{margin}- {first}", *(f"{margin}  {line}" for line in rest)]
