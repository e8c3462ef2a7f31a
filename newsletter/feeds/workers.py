"""Parsing where it can be killed: a few processes that read documents for us.

A document that takes too long, too much memory, or the process with it, is a
failure of its feed; the process is replaced and the next document is read as if
nothing had been (docs/adr/0017-parsing-in-processes.md).
"""

import asyncio
import atexit
import os
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Protocol

from newsletter.errors import ParseError
from newsletter.feeds.wire import (
    HEAD,
    LENGTH,
    MAX_ANSWER,
    Job,
    UnreadableAnswerError,
    pack_document,
    pack_job,
    unpack_answer,
)
from newsletter.model import Document

_CODE: Final = (
    "import sys; cpu, memory, idle, *sys.path = sys.argv[1:];"
    "from newsletter.feeds.worker import main; main(int(cpu), int(memory), float(idle))"
)
_LATER: Final = "nothing to do if it happens once; else ask the feed's owner to validate it"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParseLimits:
    """What one document may cost: seconds of computing, seconds by the clock, bytes of memory.

    A process without work for `idle` seconds goes.
    """

    cpu_seconds: int = 10
    seconds: float = 30.0
    memory: int = 512_000_000
    idle: float = 60.0


class Reader(Protocol):
    """Who reads documents."""

    async def read(self, job: Job) -> Document:
        """Read a document.

        Raises:
            ParseError: the body is no feed, or one that cannot be read.
        """
        ...


class Here:
    """Reads documents in this process, for what is no stranger's: samples and tests."""

    async def read(self, job: Job) -> Document:
        """Read a document; raises as `Reader.read`."""
        from newsletter.feeds.trim import read

        document = read(job.body, url=job.url, content_type=job.content_type, known=job.known.keys())
        return unpack_answer(pack_document(document, job.known.keys()), job.known)


class Workers:
    """Reads documents in processes of its own, as many at once as there are processors.

    A process starts with the first job that finds no other free, stays for the
    next one, and goes by itself when there is none for a minute.  Usable from
    any thread and any event loop.
    """

    def __init__(self, limits: ParseLimits | None = None, *, count: int | None = None) -> None:
        self._limits = limits or ParseLimits()
        self.count = count or _processors()
        self._threads: ThreadPoolExecutor | None = None
        self._free: list[_Process] = []
        self._busy: dict[int, _Process] = {}
        self._turn = threading.Lock()
        atexit.register(self.close)

    async def read(self, job: Job) -> Document:
        """Read a document; the loop goes on meanwhile.

        Raises:
            ParseError: the body is no feed, or one that cannot be read within the limits.
        """
        with self._turn:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(max_workers=self.count, thread_name_prefix="parsing")
        errand = _Errand()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, job, errand)
        except asyncio.CancelledError:
            errand.call_off()
            raise

    def close(self) -> None:
        """End every process, at once."""
        with self._turn:
            processes = [*self._free, *self._busy.values()]
            self._free.clear()
            threads, self._threads = self._threads, None
        for process in processes:
            process.end()
        if threads is not None:
            threads.shutdown(wait=False, cancel_futures=True)

    def _run(self, job: Job, errand: "_Errand") -> Document:
        question = pack_job(job)
        for attempt in (1, 2):
            process = self._take(fresh=attempt > 1)
            try:
                errand.begin(process)
                answer = process.ask(question, job.body)
            except _GoneError as gone:
                process.end()
                # One that had nothing to do for long has gone home, and its end met our question.
                if attempt == 1 and gone.status == 0 and not errand.is_called_off:
                    continue
                raise ParseError(gone.reason(self._limits), hint=_LATER) from None
            except BaseException:
                process.end()
                raise
            finally:
                errand.finish()
                with self._turn:
                    self._busy.pop(id(process), None)
            try:
                document = unpack_answer(answer, job.known)
            except UnreadableAnswerError:
                process.end()
                raise ParseError("the feed breaks the parser: it answers nonsense", hint=_LATER) from None
            except ParseError:
                self._give_back(process)
                raise
            self._give_back(process)
            return document
        raise AssertionError("unreachable")

    def _take(self, *, fresh: bool) -> "_Process":
        """A process that is free, or a new one; of those that are free more than one may have gone home."""
        with self._turn:
            process = self._free.pop() if self._free and not fresh else None
        if process is None or process.has_ended:
            if process is not None:
                process.end()
            process = _Process(self._limits)
        with self._turn:
            self._busy[id(process)] = process
        return process

    def _give_back(self, process: "_Process") -> None:
        with self._turn:
            if len(self._free) < self.count:
                self._free.append(process)
                return
        process.end()


class _GoneError(Exception):
    """The process has ended, or had to be ended; `status` is negative for a signal, None for the clock."""

    def __init__(self, status: int | None) -> None:
        super().__init__()
        self.status = status

    def reason(self, limits: ParseLimits) -> str:
        """What happened, in words."""
        if self.status is None:
            return f"reading the feed takes longer than {limits.seconds:g} s"
        if self.status == -signal.SIGXCPU:
            return f"reading the feed takes more than {limits.cpu_seconds} s of computing"
        if self.status < 0:
            return f"the feed breaks the parser (signal {-self.status})"
        return f"the feed breaks the parser (status {self.status})"


class _Errand:
    """One job on its way; calling it off ends the process that is at it."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._process: _Process | None = None
        self.is_called_off = False

    def begin(self, process: "_Process") -> None:
        with self._turn:
            self._process = process
            if self.is_called_off:
                process.kill()

    def finish(self) -> None:
        with self._turn:
            self._process = None

    def call_off(self) -> None:
        with self._turn:
            self.is_called_off = True
            if self._process is not None:
                self._process.kill()


class _Process:
    """One process that reads documents (`feeds.worker`), and the line to it."""

    def __init__(self, limits: ParseLimits) -> None:
        self._limits = limits
        ours, theirs = socket.socketpair()
        with theirs:
            self._line = ours
            self._line.settimeout(limits.seconds)
            # Not forked: this process has threads.  Nothing of the environment: it holds passwords.
            self._process = subprocess.Popen(  # noqa: S603 - our own code, by our own interpreter
                [
                    sys.executable,
                    "-I",
                    *("-X", "utf8"),
                    *("-c", _CODE),
                    *(str(limits.cpu_seconds), str(limits.memory), str(limits.idle)),
                    *(folder or str(Path.cwd()) for folder in sys.path),
                ],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={},
                cwd="/",
                start_new_session=True,
            )

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def ask(self, question: bytes, body: bytes) -> bytes:
        """Hand over a job and wait for the answer.

        Raises:
            _GoneError: there is none.
        """
        try:
            self._line.sendall(HEAD.pack(len(question), len(body)) + question)
            self._line.sendall(body)
            [length] = LENGTH.unpack(self._receive(LENGTH.size))
            if length > MAX_ANSWER:
                raise ParseError("the entries of the feed are larger than a feed may be", hint=_LATER)
            return self._receive(length)
        except TimeoutError:
            raise _GoneError(None) from None
        except OSError:
            raise _GoneError(self._status()) from None

    def _receive(self, length: int) -> bytes:
        received = bytearray(length)
        view, at = memoryview(received), 0
        while at < length:
            count = self._line.recv_into(view[at:])
            if not count:
                raise ConnectionResetError
            at += count
        return bytes(received)

    def _status(self) -> int:
        try:
            return self._process.wait(timeout=5.0)
        except subprocess.TimeoutExpired:
            return 1

    def kill(self) -> None:
        """End it whatever it is doing."""
        with suppress(OSError):
            self._process.kill()

    def end(self) -> None:
        """End it, and be done with it."""
        self.kill()
        self._line.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5.0)


@cache
def workers() -> Workers:
    """The processes that read documents for all of this process."""
    return Workers()


def _processors() -> int:
    if sys.platform == "linux":
        # What this process may use, not what the machine has.
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
