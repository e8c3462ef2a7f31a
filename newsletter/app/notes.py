"""The editor's note, from its file or from the command line, checked before anything is built."""

from pathlib import Path

from newsletter.errors import ConfigError, Problem, UsageError
from newsletter.issues.note import NOTE_LIMIT, note_faults
from newsletter.yamlfile import shown_path

#: What marks a file on the command line: `--note @monday.md`.
_FILE_MARK = "@"
_COMMAND_LINE = "--note"


def note_of(file: Path | None) -> str:
    """Read the note a digest's setting names; "" where there is no such file, or nothing in it.

    Raises:
        ConfigError: it cannot be read, or something in it would not reach a reader.
    """
    if file is None or not file.exists():
        return ""
    return _checked(_read(file), shown_path(file))


def note_given(words: str) -> str:
    """Take a note from the command line: Markdown, or @ and the name of a file.

    Raises:
        UsageError: there is no such file.
        ConfigError: it cannot be read, or something in it would not reach a reader.
    """
    file = note_file(words)
    if file is None:
        return _checked(words, _COMMAND_LINE)
    if not file.is_file():
        raise UsageError(
            f"{_COMMAND_LINE}: there is no file {shown_path(file)}", hint=f"{_COMMAND_LINE} TEXT, or @FILE"
        )
    return _checked(_read(file), shown_path(file))


def note_file(words: str | None) -> Path | None:
    """The file that a note from the command line names, or None where it is the note itself."""
    if words is None or not words.startswith(_FILE_MARK):
        return None
    return Path(words.removeprefix(_FILE_MARK)).expanduser().absolute()


def _read(file: Path) -> str:
    try:
        # One byte more than the longest note can have says that it is too long.
        with file.open("rb") as stream:
            return stream.read(4 * NOTE_LIMIT + 1).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        fault = "is not UTF-8 text" if error.start < 4 * NOTE_LIMIT - 4 else f"is longer than {NOTE_LIMIT:,} characters"
    except OSError as error:
        fault = f"cannot be read: {error.strerror}"
    raise ConfigError([Problem(path=shown_path(file), line=None, key="", text=fault)])


def _checked(markdown: str, shown: str) -> str:
    markdown = markdown.replace("\r\n", "\n").strip()
    faults = [Problem(path=shown, line=line, key="", text=text) for line, text in note_faults(markdown)]
    if faults:
        raise ConfigError(faults)
    return markdown
