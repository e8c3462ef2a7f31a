"""Messages as files: the same composing and the same outbox, and nobody is mailed."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from newsletter.delivery.attempt import Gate, Outcome
from newsletter.delivery.replies import Verdict
from newsletter.errors import TransportError
from newsletter.text import slug

_ACCEPTED = 250


class FilesTransport:
    """Writes each message into a folder, as `ada-example-com-1a2b3c4d.eml`.

    A message that is written again replaces itself.

    Args:
        folder: made when it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def open(self) -> "FilesConnection":
        """Make the folder ready.

        Raises:
            TransportError: it cannot be made.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TransportError(f"the folder {self.folder} cannot be made: {error.strerror}") from error
        return FilesConnection(self.folder)


class FilesConnection:
    """Takes the place of a connection; see `transaction.Connection`."""

    is_local = True
    is_usable = True
    begun = 0
    accepted = 0

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def transaction(
        self,
        *,
        sender: str,  # noqa: ARG002 - stands in the message
        recipient: str,
        gate: Gate,
        message: Sequence[bytes],
    ) -> Outcome:
        """Write one message, whole or not at all."""
        self.begun += 1
        if not await gate.open():
            return Outcome(verdict=Verdict.withheld)
        path = self._folder / f"{slug(recipient)}-{sha256(recipient.encode()).hexdigest()[:8]}.eml"
        unfinished = path.with_suffix(".part")
        try:
            unfinished.write_bytes(b"".join(message))
            unfinished.replace(path)
        except OSError as error:
            return Outcome(verdict=Verdict.back_off, text=f"{path} cannot be written: {error.strerror}")
        return Outcome(verdict=Verdict.sent, code=_ACCEPTED, text=f"written to {path.name}")

    async def close(self) -> None:
        """Nothing is open."""

    def abort(self, reason: str = "") -> None:
        """Nothing is open."""
