"""Lists brought in and taken out: `subscriber import` and `subscriber export`."""

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from newsletter.app.project import App
from newsletter.app.subscribers import chosen
from newsletter.errors import NewsletterError, UsageError
from newsletter.model import Subscriber, SuppressionReason
from newsletter.people.choosing import ACTIVE, Selection
from newsletter.people.exchange.merge import Kind, Merge, Outcome, Settled
from newsletter.people.exchange.rejects import Rejects, may_replace
from newsletter.people.exchange.rows import Given, open_list
from newsletter.people.exchange.standing import MAY, Standing, never, waits
from newsletter.people.exchange.tools import TOOLS
from newsletter.people.exchange.writing import FORMS
from newsletter.people.exchange.yamlrows import yaml_rows
from newsletter.people.roster import Draft
from newsletter.yamlfile import shown_path

#: How many rows of a kind are kept to be shown, unless all are wanted.
KEPT = 20
#: What can be said of rows that say nothing themselves.
STATUSES = ("subscribed", "unconfirmed", "unsubscribed", "bounced", "complained", "manual")
SOURCES = ("yaml", *TOOLS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedList:
    """One list that was read: what it was recognized as, how many rows it has, what to know about such lists."""

    file: str
    tool: str
    rows: int
    notice: str | None = None


@dataclass(slots=True, kw_only=True)
class ImportReport:
    """What an import did, or would do.

    `outcomes` are the first KEPT of each kind, or all of them; `counts` count all.
    `wrote` is whether anything was changed; `rejects` are the files with the
    rejected rows.
    """

    dry_run: bool
    lists: list[ImportedList] = field(default_factory=list[ImportedList])
    counts: Counter[str] = field(default_factory=Counter[str])
    outcomes: list[Outcome] = field(default_factory=list[Outcome])
    rejects: list[str] = field(default_factory=list[str])
    wrote: bool = False


def import_lists(
    app: App,
    files: Sequence[Path],
    *,
    tool: str | None = None,
    status: str | None = None,
    digests: Sequence[str] = (),
    encoding: str | None = None,
    update: bool = False,
    dry_run: bool = False,
    rejects_to: Path | None = None,
    keep_all: bool = False,
    on_row: Callable[[int], None] = lambda _: None,
) -> ImportReport:
    """Bring lists in.

    Who must not be mailed is suppressed first, in one transaction; then the list
    is changed.  A crash between the two leaves nobody mailable who must not be.

    Args:
        app: the project.
        files: the lists; who is unsubscribed in one of them is not mailed because of another.
        tool: one of SOURCES, or None to find out.
        status: one of STATUSES, for rows that say nothing.
        digests: what the people get; all where it is empty.
        encoding: of the tables; None finds out.
        update: take over what the lists know about people who are there.
        dry_run: change nothing in the project.
        rejects_to: where to write the rows that cannot be used.
        keep_all: keep the outcome of every row.
        on_row: told how many rows have been read.

    Raises:
        ConfigError: a list or the project's file cannot be read as what it is.
        UsageError: the file for the rejected rows is something else already.
        BusyError: another run is editing the file.
    """
    for digest in digests:
        app.config.digest(digest)
    if rejects_to is not None and not any(rejects_to.resolve() == file.resolve() for file in files):
        # A corrected list of rejected rows may be replaced by what is still wrong.
        may_replace(rejects_to)
    report = ImportReport(dry_run=dry_run)
    rejects = Rejects()

    def tell(outcome: Outcome) -> None:
        report.counts[outcome.kind.value] += 1
        if keep_all or report.counts[outcome.kind.value] <= KEPT:
            report.outcomes.append(outcome)

    roster = app.roster
    merge = Merge(roster.check_digest, rejects, tell)
    try:
        given = Given(tool=tool, standing=_standing(status), digests=tuple(digests), encoding=encoding)
        for file in files:
            report.lists.append(_take(merge, rejects, file, given, on_row))
        with roster.draft() as draft:
            settled = merge.settle(draft, app.memory.reasons, update=update)
            report.wrote = settled.changes_anything
            if rejects_to is not None:
                report.rejects = [shown_path(path) for path in rejects.write(rejects_to)]
            if not dry_run:
                _carry_out(app, draft, settled)
    finally:
        merge.close()
        rejects.close()
    return report


def _carry_out(app: App, draft: Draft, settled: Settled) -> None:
    """Suppress, then change the list; a file is replaced after that, when the draft's block ends."""
    app.store.suppress_all(settled.suppressions)
    if len(settled.people):
        # A line too many, after a crash, proves nothing wrong; one too few would.
        app.store.record_consents(settled.people.consents(app.clock.now()))
    draft.change(settled.changes)
    if len(settled.people):
        draft.extend(settled.people)


def _take(merge: Merge, rejects: Rejects, file: Path, given: Given, on_row: Callable[[int], None]) -> ImportedList:
    shown, count = shown_path(file), 0
    if given.tool == "yaml" or (given.tool is None and file.suffix.lower() in (".yaml", ".yml")):
        rejects.begin(file, None)
        for count, row in enumerate(yaml_rows(file, given), 1):
            merge.take(shown, row)
            on_row(count)
        return ImportedList(file=shown, tool="a YAML list of people", rows=count)
    with open_list(file, given) as found:
        rejects.begin(file, found.header)
        for count, row in enumerate(found.rows(), 1):
            merge.take(shown, row)
            on_row(count)
        return ImportedList(file=shown, tool=found.tool.title, rows=count, notice=found.notice)


def _standing(status: str | None) -> Standing | None:
    if status is None:
        return None
    said = f"--status {status}"
    if status == "subscribed":
        return MAY
    return waits(said) if status == "unconfirmed" else never(SuppressionReason(status), said)


# --------------------------------------------------------------------------- taking out


@dataclass(frozen=True, slots=True)
class _People:
    """The people that are meant, read from the list each time they are asked for."""

    app: App
    selection: Selection

    def __iter__(self) -> Iterator[tuple[Subscriber, str]]:
        return ((one.subscriber, one.status) for one in chosen(self.app, self.selection))


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was taken out: by status, and how many were left out because the form cannot say that they must not be mailed."""

    counts: Counter[str]
    left_out: int


def export_people(app: App, form: str, selection: Selection, write: Callable[[str], object]) -> Exported:
    """Take the people out that are meant, in a form that another program reads.

    A form that has no place for a status has only those who are mailed, unless
    others are asked for.

    Raises:
        UsageError: there is no such digest.
        ConfigError: the file has mistakes; nothing was written.
    """
    wanted = selection
    if not FORMS[form].has_status and selection.status is None:
        wanted = replace(selection, status=ACTIVE)
    # Once before anything is written: a list with mistakes is not followed.
    everybody = Counter(status for _, status in _People(app, selection))
    for part in FORMS[form].write(_People(app, wanted)):
        write(part)
    taken = everybody if wanted == selection else Counter({ACTIVE: everybody[ACTIVE]})
    return Exported(counts=taken, left_out=everybody.total() - taken.total())


def export_to_file(app: App, form: str, selection: Selection, path: Path) -> Exported:
    """Take the people out into a file for its owner's eyes only: the old one or the new one, never a part.

    Raises:
        UsageError: it is one of the project's own files, or there is no such digest.
        ConfigError: the file with the people has mistakes; nothing was written.
        NewsletterError: the file cannot be written.
    """
    own = {file.resolve() for file in (app.config.subscribers, app.config.path) if file is not None}
    if path.resolve() in own or path.is_dir():
        what = "a folder" if path.is_dir() else "one of the project's own files"
        raise UsageError(f"{path} is {what}", hint="name another file")
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        fresh = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
                done = export_people(app, form, selection, stream.write)
            fresh.replace(path)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise NewsletterError(f"{path} cannot be written: {(error.strerror or str(error)).lower()}") from error
    return done


__all__ = ["KEPT", "SOURCES", "STATUSES", "ImportReport", "Kind", "export_people", "export_to_file", "import_lists"]
