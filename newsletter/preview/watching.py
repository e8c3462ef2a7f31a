"""Which saved files the page hears of, and how soon."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from watchfiles import Change, awatch

from newsletter.preview.desk import Watched

#: Milliseconds of quiet after which a burst of changes (an editor's save) is told.
_QUIET: Final = 15
_LONGEST_BURST: Final = 200


async def changes(watched: Callable[[], Watched], stop: asyncio.Event) -> AsyncIterator[list[str]]:
    """Yield the names of what was saved, burst by burst, until told to stop.

    Args:
        watched: what to look at; asked again after every burst, since a saved config may name other files.
        stop: ends it.
    """
    stopped = asyncio.create_task(stop.wait())
    known: frozenset[Path] = frozenset()
    while not stop.is_set():
        places = _places(watched())
        queue: asyncio.Queue[list[str]] = asyncio.Queue()
        ended = asyncio.Event()
        tasks = [
            asyncio.create_task(_report(kind, where, watched, ended, queue)) for kind, where in places.items() if where
        ]
        # What was saved while nobody looked: in a folder that is new, or between two watches.
        if known:
            await asyncio.sleep(_QUIET / 1000)
            yield sorted(path.name for path in (places[False] | places[True]) - known)
        known = places[False] | places[True]
        try:
            while _places(watched()) == places and not stop.is_set():
                news = asyncio.create_task(queue.get())
                await asyncio.wait({news, stopped, *tasks}, return_when=asyncio.FIRST_COMPLETED)
                if not news.done():
                    news.cancel()
                    break
                yield news.result()
        finally:
            ended.set()
            await asyncio.gather(*tasks)
    stopped.cancel()


def _places(watched: Watched) -> dict[bool, frozenset[Path]]:
    """The folders to watch, without (False) and with (True) those within.

    For single files it is only the folder itself: a project may stand in one full of others.
    """
    return {
        False: frozenset(path.parent for path in watched.files if path.parent.is_dir()),
        True: frozenset(path for path in watched.folders if path.is_dir()),
    }


async def _report(
    recursive: bool,  # noqa: FBT001 - the key of _places
    places: frozenset[Path],
    watched: Callable[[], Watched],
    ended: asyncio.Event,
    queue: asyncio.Queue[list[str]],
) -> None:
    """Put into the queue what changes in some places, as far as it matters."""

    def matters(_: Change, name: str) -> bool:
        path, now = Path(name), watched()
        if path in now.files or path in now.folders:
            return True
        hidden = path.name.startswith(".") or path.name.endswith(("~", ".swp", ".tmp"))
        return not hidden and any(path.is_relative_to(folder) for folder in now.folders)

    for polling in (None, True):
        # Where the system has no more watches to give, looking every now and then does it, too.
        with suppress(OSError):
            async for burst in awatch(
                *places,
                watch_filter=matters,
                debounce=_LONGEST_BURST,
                step=_QUIET,
                stop_event=ended,
                recursive=recursive,
                rust_timeout=1000,
                force_polling=polling,
            ):
                await queue.put(sorted({Path(name).name for _, name in burst}))
            return
