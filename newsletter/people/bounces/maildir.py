"""A maildir: a folder with `new` and `cur`, a file a message (cr.yp.to/proto/maildir.html).

The standard library's `mailbox.Maildir` reads whole messages and follows links;
this reads the beginning of regular files only.
"""

import os
import stat
from pathlib import Path
from typing import Final

from newsletter.people.bounces.letter import LIMIT
from newsletter.people.bounces.mailbox import Mail, MailboxError
from newsletter.yamlfile import shown_path

_SEEN: Final = "S"


class Maildir:
    """A maildir on this machine.

    Args:
        path: the folder that has `new` and `cur`.
        delete: remove reports once they are recorded, instead of marking them as seen.
    """

    def __init__(self, path: Path, *, delete: bool = False) -> None:
        self.path = path
        self.name = f"maildir:{path}"
        self._delete = delete
        #: Where each message is, by the part of its name that stays.
        self._files: dict[str, Path] = {}

    def names(self) -> list[str]:
        """Every message, the oldest first as far as names tell.

        Raises:
            MailboxError: there is no maildir.
        """
        self._files = {}
        for folder in ("new", "cur"):
            try:
                found = sorted(path.name for path in (self.path / folder).iterdir())
            except OSError as error:
                raise self._unreadable(error) from error
            for file in found:
                if not file.startswith("."):
                    self._files[_stable(file)] = self.path / folder / file
        return list(self._files)

    def read(self, name: str) -> Mail | None:
        """One message; None where it is gone, or no message but something else."""
        try:
            handle = os.open(self._files[name], os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
            with os.fdopen(handle, "rb") as stream:
                found = os.fstat(handle)
                if not stat.S_ISREG(found.st_mode):
                    return None
                return Mail(raw=stream.read(LIMIT), size=found.st_size)
        except PermissionError as error:
            raise self._unreadable(error) from error
        except OSError as error:
            if not (self.path / "new").is_dir():
                raise self._unreadable(error) from error
            return None

    def done(self, name: str) -> None:
        """Mark a report as seen, or remove it; somebody else who does so at the same time is right, too."""
        path = self._files[name]
        base, _, flags = path.name.partition(":2,")
        seen = "".join(sorted({*flags, _SEEN}))
        try:
            if self._delete:
                path.unlink()
            elif path.parent.name == "new" or _SEEN not in flags:
                path.rename(self.path / "cur" / f"{base}:2,{seen}")
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: OSError) -> MailboxError:
        return MailboxError(
            f"the maildir {shown_path(self.path)} cannot be used: {(error.strerror or str(error)).lower()}",
            hint="name the folder that has `new` and `cur` in it, and give yourself the right to it",
        )


def _stable(file: str) -> str:
    """The part of a file's name that its flags do not change, as text that any database holds."""
    return file.partition(":")[0].encode("utf-8", "backslashreplace").decode()
