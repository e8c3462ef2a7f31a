"""Which saved files the page hears of, and how soon."""

import asyncio
from collections.abc import AsyncIterator, Callable
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
    while not stop.is_set():
        looked_at = watched()
        # Only the folders themselves are watched for single files: a project may stand in a folder full of others.
        beside = {path.parent for path in looked_at.files if path.parent.is_dir()}
        within = {path for path in looked_at.folders if path.is_dir()}
        queue: asyncio.Queue[list[str]] = asyncio.Queue()
        ended = asyncio.Event()
        tasks = [
            asyncio.create_task(_report(beside, looked_at, ended, queue, recursive=False)),
            asyncio.create_task(_report(within, looked_at, ended, queue, recursive=True)),
        ]
        stopped = asyncio.create_task(stop.wait())
        try:
            while watched() == looked_at and _there(looked_at) == within:
                news = asyncio.create_task(queue.get())
                await asyncio.wait({news, stopped}, return_when=asyncio.FIRST_COMPLETED)
                if not news.done():
                    news.cancel()
                    break
                yield news.result()
        finally:
            ended.set()
            stopped.cancel()
            await asyncio.gather(*tasks, stopped, return_exceptions=True)


def _there(looked_at: Watched) -> set[Path]:
    return {path for path in looked_at.folders if path.is_dir()}


async def _report(
    places: set[Path], looked_at: Watched, ended: asyncio.Event, queue: asyncio.Queue[list[str]], *, recursive: bool
) -> None:
    """Put into the queue what changes in some places, as far as it matters."""
    if not places:
        return

    def matters(_: Change, name: str) -> bool:
        path = Path(name)
        if path in looked_at.files or path in looked_at.folders:
            return True
        hidden = path.name.startswith(".") or path.name.endswith(("~", ".swp", ".tmp"))
        return not hidden and any(path.is_relative_to(folder) for folder in looked_at.folders)

    async for burst in awatch(
        *places,
        watch_filter=matters,
        debounce=_LONGEST_BURST,
        step=_QUIET,
        stop_event=ended,
        recursive=recursive,
        rust_timeout=1000,
        yield_on_timeout=False,
        raise_interrupt=False,
    ):
        await queue.put(sorted({Path(name).name for _, name in burst}))
