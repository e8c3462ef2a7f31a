"""Somebody to mail to: Postfix's smtp-sink where it is installed, else a sink of our own in a second process.

Either takes every message, keeps none, offers PIPELINING, and counts.
"""

import asyncio
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
from tempfile import TemporaryFile
from typing import IO

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Sink:
    """A sink that is running."""

    name: str
    port: int
    _log: IO[bytes]

    def accepted(self) -> int:
        """How many messages it has taken so far, by its own count."""
        self._log.seek(0)
        counts = re.findall(rb"(?:mesg|messages)=(\d+)", self._log.read())
        return int(counts[-1]) if counts else 0


@contextmanager
def sink() -> Iterator[Sink]:
    """Start a sink on loopback; stopped with the block."""
    port = _free_port()
    postfix = shutil.which("smtp-sink", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin")))
    if postfix:
        # It refuses to stay root; -c writes its running count.
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        name, command = "Postfix smtp-sink", [postfix, "-c", *user, f"{HOST}:{port}", "1000"]
    else:
        name, command = "own sink (no smtp-sink here)", [sys.executable, str(Path(__file__)), str(port)]
    with TemporaryFile() as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        try:
            _await(port, process)
            yield Sink(name, port, log)
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
