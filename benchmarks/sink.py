"""Somebody to mail to: Postfix's smtp-sink, the fast sink of our own in C, or a slow one in Python for want of both.

Each takes every message, keeps none, offers PIPELINING, and counts.
"""

import asyncio
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from typing import IO, NamedTuple

HOST = "127.0.0.1"


FASTSINK = Path(__file__).with_name("fastsink.c")


@dataclass(frozen=True, slots=True)
class Sink:
    """A sink that is running."""

    name: str
    port: int
    _log: IO[bytes]
    _process: "subprocess.Popen[bytes]"
    _tells_when_asked: bool = False

    def accepted(self) -> int:
        """How many messages it has taken so far, by its own count."""
        if self._tells_when_asked:
            before = self._log.seek(0, os.SEEK_END)
            self._process.send_signal(signal.SIGUSR1)
            for _ in range(500):
                if self._log.seek(0, os.SEEK_END) > before:
                    break
                time.sleep(0.01)
        self._log.seek(0)
        counts = re.findall(rb"(?:mesg|messages)=(\d+)", self._log.read())
        return int(counts[-1]) if counts else 0


def smtp_sink() -> str | None:
    """Where Postfix's sink is; None if it is not installed."""
    return shutil.which("smtp-sink", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin")))


def cache() -> Path:
    """A folder for what benchmarks make once and use again, ours alone."""
    folder = Path(gettempdir()) / f"newsletter-benchmarks-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        sys.exit(f"error: {folder} is somebody else's")
    return folder


def built_fastsink() -> Path | None:
    """The fast sink, compiled at first use; None where there is no C compiler.

    Raises:
        subprocess.CalledProcessError: it does not compile.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    program = cache() / f"fastsink-{hashlib.sha256(FASTSINK.read_bytes()).hexdigest()[:12]}"
    if not program.exists():
        unfinished = program.with_suffix(f".{os.getpid()}")
        subprocess.run([compiler, "-O2", "-Wall", "-Wextra", "-o", str(unfinished), str(FASTSINK)], check=True)
        unfinished.replace(program)
    return program


@contextmanager
def sink() -> Iterator[Sink]:
    """Start a sink on loopback, Postfix's where there is one; stopped with the block."""
    port = _free_port()
    if postfix := smtp_sink():
        # It refuses to stay root; -c writes its running count.
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        name, command = "Postfix smtp-sink", [postfix, "-c", *user, f"{HOST}:{port}", "1000"]
    else:
        name, command = "own sink (no smtp-sink here)", [sys.executable, str(Path(__file__)), str(port)]
    with _running(name, port, command, tells_when_asked=False) as running:
        yield running


@contextmanager
def fastsink(program: Path, *options: str) -> Iterator[Sink]:
    """Start the fast sink on loopback; stopped with the block.

    Args:
        program: from `built_fastsink`.
        options: its own, such as `--delay-ms 20`.
    """
    port = _free_port()
    with _running("fastsink", port, [str(program), *options, str(port)], tells_when_asked=True) as running:
        yield running


class Taken(NamedTuple):
    """One recipient in a fast sink's list: when the 250 leaves (seconds, as `time.monotonic`), over which connection."""

    at: float
    connection: int
    email: str


def taken(log: Path) -> list[Taken]:
    """Whom a sink with `--log` has taken messages for, in the order of its answers; ask `Sink.accepted` first."""
    lines = (line.split(" ", 2) for line in log.read_text(encoding="utf-8").splitlines())
    return sorted(Taken(int(at) / 1e6, int(connection), email) for at, connection, email in lines)


@contextmanager
def _running(name: str, port: int, command: list[str], *, tells_when_asked: bool) -> Iterator[Sink]:
    with TemporaryFile() as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        try:
            _await(port, process)
            yield Sink(name, port, log, process, tells_when_asked)
        finally:
            process.terminate()
            process.wait(10)


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _await(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(100):
        try:
            with socket.create_connection((HOST, port), 1) as probe:
                probe.recv(100)
                return
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.05)
    sys.exit("error: the sink did not start")


# ------------------------------------------------------------------- the sink of our own


class _Taker(asyncio.Protocol):
    messages = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._rest = b""
        self._in_data = False
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        answers: list[bytes] = []
        while data:
            if self._in_data:
                end = data.find(b"\r\n.\r\n")
                if end < 0:
                    # Enough to find an end that is split over two reads.
                    data = data[-4:]
                    break
                data = data[end + 5 :]
                self._in_data = False
                type(self).messages += 1
                print(f"messages={type(self).messages}", flush=True)
                answers.append(b"250 2.0.0 taken\r\n")
                continue
            line, found, rest = data.partition(b"\r\n")
            if not found:
                break
            answers.append(self._answer(line.upper()))
            # The line end before the final dot may be DATA's own: a message can be empty.
            data = b"\r\n" + rest if self._in_data else rest
        self._rest = data
        self._transport.write(b"".join(answers))

    def _answer(self, line: bytes) -> bytes:
        if line.startswith(b"EHLO"):
            return b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n"
        if line == b"DATA":
            self._in_data = True
            return b"354 go\r\n"
        if line == b"QUIT":
            asyncio.get_running_loop().call_soon(self._transport.close)
            return b"221 bye\r\n"
        return b"250 2.0.0 fine\r\n"


async def _serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, done.set)
    async with await loop.create_server(_Taker, HOST, port):
        await done.wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
