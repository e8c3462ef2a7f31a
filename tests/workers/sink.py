"""The mail server of a fleet: it knows which process each connection comes from, and kills one where it is told to.

    python tests/workers/sink.py LOG        prints its port; lines "STEP TURN" on its standard input arm one kill each

Every line of its log says which process it is about.  A process is looked up
before it gets the banner: whoever is gone by then has sent nothing.
"""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from tests.delivery.sink import CHUNKING, Sink, Step  # noqa: E402


class KnowingSink(Sink):
    """A sink that knows its clients by their process ids; 0 is somebody who had gone."""

    senders: dict[int, int]
    armed: tuple[str, int] | None = None

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.senders[self.connections + 1] = process_behind(writer.get_extra_info("peername")[1])
        await super()._session(reader, writer)

    def note(self, line: dict[str, object]) -> None:
        number = line["connection"]
        assert isinstance(number, int)
        super().note({**line, "from": self.senders[number]})

    def answer(self, step: Step) -> str | None:
        if self.armed is not None and self.armed[0] == step.name:
            turn = self.armed[1] - 1
            self.armed = (step.name, turn)
            if turn <= 0 and (sender := self.senders[step.connection]):
                self.armed = None
                with suppress(ProcessLookupError):
                    os.kill(sender, signal.SIGKILL)
        return super().answer(step)


def process_behind(port: int) -> int:
    """Which of our sibling processes has the socket of this local port."""
    inode = None
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        if fields[1] == f"0100007F:{port:04X}" and fields[9] != "0":
            inode = f"socket:[{fields[9]}]"
    if inode is not None:
        for process in _siblings():
            with suppress(OSError):
                for descriptor in Path(f"/proc/{process}/fd").iterdir():
                    with suppress(OSError):
                        if str(descriptor.readlink()) == inode:
                            return process
    return 0


def _siblings() -> list[int]:
    parent = os.getppid()
    return [int(one) for one in Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split()]


async def _serve(log: Path) -> None:
    sink = KnowingSink(log=log, extensions=CHUNKING)
    sink.senders = {}

    def arm() -> None:
        words = sys.stdin.readline().split()
        if not words:
            # Whoever started it is gone.
            os._exit(0)
        sink.armed = (words[0], int(words[1]))

    async with sink:
        asyncio.get_running_loop().add_reader(sys.stdin, arm)
        print(sink.port, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
