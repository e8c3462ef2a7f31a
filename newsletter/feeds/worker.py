"""The process that parses: reads jobs from its standard input, and answers there.

It may be killed at any moment, and kills itself by the system's hand: for every
job it has so much computing time, and for all of them so much memory.  It is
given no environment and no other open file, and what it answers is checked
(`feeds.wire`).
"""

import os
import resource
import select
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from newsletter.errors import ParseError
from newsletter.feeds.trim import read
from newsletter.feeds.wire import HEAD, LENGTH, pack_document, pack_error, unpack_job

_CHANNEL: Final = 0
#: One that has needed so many bytes gives them back by going; Linux counts in kilobytes, macOS in bytes.
_FAT: Final = 160_000_000
_UNIT: Final = 1 if sys.platform == "darwin" else 1024


def main(cpu_seconds: int, memory: int, idle: float) -> None:
    """Answer jobs until the other side closes, or nothing comes for long.

    Args:
        cpu_seconds: computing time for one job; past it the system ends the process.
        memory: bytes the process may address; past them Python raises `MemoryError`.
        idle: seconds without work after which it goes; the next job starts another.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(ValueError, OSError):
        # macOS does not know it; the wall clock and the time limit hold there too.
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    while select.select([_CHANNEL], [], [], idle)[0]:
        head = _take(HEAD.size)
        if head is None:
            return
        head_length, body_length = HEAD.unpack(head)
        question, body = _take(head_length), _take(body_length)
        if question is None or body is None:
            return
        _limit_time(cpu_seconds)
        try:
            answer = _answer(question, body)
        except MemoryError:
            answer = pack_error(
                ParseError(
                    "reading the feed takes more memory than a feed may have", hint="ask its owner for a shorter one"
                )
            )
        del question, body
        _give(LENGTH.pack(len(answer)))
        _give(answer)
        if _resident() > _FAT:
            return


def _resident() -> int:
    """Bytes of memory in use.

    What `getrusage` says begins on Linux with what the process that started this one had.
    """
    try:
        pages = Path("/proc/self/statm").read_bytes().split()[1]
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT
    return int(pages) * resource.getpagesize()


def _answer(question: bytes, body: bytes) -> bytes:
    url, content_type, known = unpack_job(question)
    try:
        return pack_document(read(body, url=url, content_type=content_type, known=known), known)
    except ParseError as error:
        return pack_error(error)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a document does to us, it is said in words
        return pack_error(ParseError(f"the feed is damaged and cannot be read ({type(error).__name__})"))


def _limit_time(seconds: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = used.ru_utime + used.ru_stime
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CPU, (int(spent) + seconds + 1, resource.RLIM_INFINITY))


def _take(length: int) -> bytes | None:
    """So many bytes; None where the other side has gone."""
    pieces, left = [], length
    while left:
        piece = os.read(_CHANNEL, min(left, 1 << 20))
        if not piece:
            return None
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def _give(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(_CHANNEL, view) :]
