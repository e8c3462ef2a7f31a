"""A text in the person's own editor."""

import shlex
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from newsletter.config.system import editor
from newsletter.errors import NewsletterError
from newsletter.text import one_line


def edited(text: str, name: str) -> str:
    """Let a person change a text, and wait until they have closed their editor.

    Args:
        text: what is there to begin with.
        name: of the file, for the editor's title and its colours.

    Raises:
        NewsletterError: the editor cannot be run, or says that it failed; nothing has been changed.
    """
    command = editor()
    shown = one_line(command, 60)
    hint = "set EDITOR to the program that you write with, or use --out FILE and --file FILE"
    with TemporaryDirectory(prefix="newsletter-") as folder:
        file = Path(folder) / name
        file.write_text(text, encoding="utf-8")
        try:
            # No shell; the user's own variable names the program, as it does for every tool that opens an editor.
            code = subprocess.run([*shlex.split(command), str(file)], check=False).returncode  # noqa: S603
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise NewsletterError(f"the editor {shown} cannot be run: {reason.lower()}", hint=hint) from error
        if code:
            raise NewsletterError(f"the editor {shown} ended with {code}: nothing has been changed", hint=hint)
        try:
            return file.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise NewsletterError(f"what the editor {shown} left is no UTF-8 text", hint=hint) from error
