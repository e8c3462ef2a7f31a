"""A draft as one Markdown file that an editor may change: move, delete and rewrite its entries, and write a note.

    <!-- note -->            what stands above the entries
    <!-- entry 41: … -->     an entry: its title as a heading, its text below
    <!-- hidden … -->        the entries below this line are left out

What comes back is read against what was given out: an entry that is as it was keeps
its own HTML, so that opening the file and closing it changes nothing.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from newsletter.errors import ConfigError, Problem
from newsletter.issues.markdown import from_html
from newsletter.issues.note import link_faults, note_faults
from newsletter.issues.views import shown_text
from newsletter.model import Draft, DraftChanges, DraftEntry, EntryEdit, StoredEntry
from newsletter.text import one_line

#: A file of more characters is none that a person wrote.
FILE_LIMIT: Final = 2_000_000
_TITLE_LIMIT: Final = 300
_MARK = re.compile(r"^<!-- *(note|hidden|entry +([0-9]{1,18}))\b[^\n]*-->[ \t]*$", re.MULTILINE)
_HEADING = re.compile(r"\A#{1,6}[ \t]+([^\n]*?)[ \t]*(?:\n|\Z)")
_HELP: Final = """\
<!-- {name}. Lines such as this one are not sent.
     Move entries to change their order, change a title or a text, write a note under its line.
     An entry that you delete, or move below the line "hidden", is left out for good. -->
"""


_Wrong = Callable[[int | None, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """One entry in the file; `line` is where it begins, `body` None where only a title is shown."""

    title: str
    body: str | None
    line: int = 0


def write_draft(draft: Draft, changes: DraftChanges, entries: Sequence[StoredEntry], *, name: str) -> str:
    """Write a draft for its editor.

    Args:
        draft: as built.
        changes: what the editor has done so far.
        entries: all that the draft is made of.
        name: what to call it in the file's first line.
    """
    parts = [_HELP.format(name=name), f"<!-- note -->\n\n{changes.note}\n" if changes.note else "<!-- note -->\n\n"]
    for section in draft.sections:
        for entry in (*section.entries, *section.more):
            only = "" if entry in section.entries else ", as a headline only"
            parts.append(_entry(entry.id, f"{section.title}{only}", _shown(entry, changes, entry in section.entries)))
    parts.append("<!-- hidden: what stands below this line is left out -->\n")
    shown = {entry.id for section in draft.sections for entry in (*section.entries, *section.more)}
    parts += [
        _entry(one.id, "", _Block(title=_hidden_title(one, changes), body=None))
        for one in entries
        if one.id in changes.hidden - shown
    ]
    return "\n".join(parts)


def read_draft(
    text: str, draft: Draft, changes: DraftChanges, entries: Sequence[StoredEntry], *, path: str
) -> DraftChanges:
    """Read what an editor has made of the file that `write_draft` gave out.

    Args:
        text: of the file.
        draft: as it was given out.
        changes: that it was given out with.
        entries: all that the draft is made of.
        path: what to call the file in messages.

    Raises:
        ConfigError: with every mistake, each at its line.
    """
    problems: list[Problem] = []

    def wrong(line: int | None, words: str) -> None:
        problems.append(Problem(path=path, line=line, key="", text=words))

    if len(text) > FILE_LIMIT:
        raise ConfigError([Problem(path=path, line=None, key="", text=f"is longer than {FILE_LIMIT:,} characters")])
    note, blocks, hidden = _parse(text.replace("\r\n", "\n"), wrong)
    before = {
        entry.id: _shown(entry, changes, entry in section.entries)
        for section in draft.sections
        for entry in (*section.entries, *section.more)
    }
    known = {one.id for one in entries}
    for id_ in [id_ for id_ in (*blocks, *hidden) if id_ not in known]:
        wrong((blocks | hidden)[id_].line, f"there is no entry {id_} in this draft")
        blocks.pop(id_, None)
    for line, words in note_faults(note):
        wrong(line, f"note: {words}")
    edits = dict(changes.edits)
    for id_, block in blocks.items():
        edit = _edit(block, before.get(id_), edits.get(id_), wrong)
        if edit is not None:
            edits[id_] = edit
    if problems:
        raise ConfigError(problems, hint="correct the file; nothing has been changed")
    # Only of what can be seen in the file: what a filter left out, or another feed's copy, stays so.
    visible = before.keys() | changes.hidden
    moved = [id_ for id_ in blocks if id_ in before]
    stayed = [id_ for id_ in before if id_ in blocks]
    return replace(
        changes,
        note=changes.note if _plain(note) == _plain(changes.note) else note,
        hidden=frozenset(id_ for id_ in visible if id_ not in blocks),
        order=changes.order if moved == stayed and len(blocks) == len(moved) else tuple(blocks),
        edits=edits,
    )


def _entry(id_: int, where: str, block: _Block) -> str:
    # Two dashes would end the comment early.
    where = re.sub(r"-{2,}|>", "–", one_line(where, 80))
    body = f"\n{block.body}\n" if block.body else ""
    return f"<!-- entry {id_}{f': {where}' if where else ''} -->\n## {block.title}\n{body}"


def _shown(entry: DraftEntry, changes: DraftChanges, is_full: bool) -> _Block:  # noqa: FBT001 - of two kinds
    edit = changes.edits.get(entry.id)
    if not is_full:
        return _Block(title=entry.title, body=None)
    if edit is not None and edit.markdown is not None:
        return _Block(title=entry.title, body=edit.markdown)
    # A feed can write a line that looks like ours, in a block of code.
    body = _MARK.sub(lambda found: f" {found[0]}", from_html(shown_text(entry)[0]))
    return _Block(title=entry.title, body=body.strip())


def _hidden_title(stored: StoredEntry, changes: DraftChanges) -> str:
    edit = changes.edits.get(stored.id)
    title = stored.entry.title if edit is None or edit.title is None else edit.title
    return one_line(title, _TITLE_LIMIT) or one_line(stored.entry.url or "", _TITLE_LIMIT)


def _parse(text: str, wrong: _Wrong) -> tuple[str, dict[int, _Block], dict[int, _Block]]:
    """The note, the entries in their order, and those below the line that hides them."""
    note, shown, hidden = "", dict[int, _Block](), dict[int, _Block]()
    into = shown
    for kind, id_, body, line in _blocks(text):
        if kind == "note":
            note = body
        elif kind == "hidden":
            into = hidden
        else:
            if id_ in shown or id_ in hidden:
                wrong(line, f"entry {id_} is there twice")
            heading = _HEADING.match(body)
            if heading is None:
                wrong(line, f"entry {id_} has no title: the line below this one must be `## …`")
            else:
                into[id_] = _Block(
                    title=one_line(heading[1], _TITLE_LIMIT), body=body[heading.end() :].strip(), line=line
                )
    return note, shown, hidden


def _blocks(text: str) -> Iterator[tuple[str, int, str, int]]:
    """What the file is made of: the kind, an entry's id, the text, the line of its mark."""
    marks = list(_MARK.finditer(text))
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        body = text[mark.end() : following.start() if following else len(text)]
        line = text.count("\n", 0, mark.start()) + 1
        yield mark[1].split()[0], int(mark[2] or 0), body.strip(), line


def _edit(block: _Block, before: _Block | None, edit: EntryEdit | None, wrong: _Wrong) -> EntryEdit | None:
    """What the editor has written of an entry; None where nothing has changed, or where only its title was shown."""
    if not block.title:
        wrong(block.line, "the entry's title is empty")
    if before is None:
        return None
    title = edit.title if edit else None
    markdown = edit.markdown if edit else None
    if block.title != before.title:
        title = block.title
    if before.body is None and block.body:
        wrong(block.line, "this entry is a headline only, so it has no text: raise max_entries or per_feed")
    elif before.body is not None and _plain(block.body or "") != _plain(before.body):
        markdown = block.body or ""
        for _, words in link_faults(markdown):
            wrong(block.line, words)
    found = EntryEdit(title=title, markdown=markdown)
    return None if found in (EntryEdit(), edit) else found


def _plain(text: str) -> str:
    """A text without what an editor's program may strip or add unasked."""
    return "\n".join(line.rstrip() for line in text.strip().split("\n"))
