"""What libraries say by Python's own logging, for our log."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from newsletter.cli.log import JsonLog


def listen(log: "JsonLog") -> Callable[[], None]:
    """Write what libraries log, from warnings on, as events; the answer ends it."""
    handler = _Handler(log)
    logging.getLogger().addHandler(handler)
    logging.captureWarnings(capture=True)

    def leave() -> None:
        logging.getLogger().removeHandler(handler)
        logging.captureWarnings(capture=False)

    return leave


class _Handler(logging.Handler):
    """What asyncio and others have to say."""

    def __init__(self, log: "JsonLog") -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        level = "error" if record.levelno >= logging.ERROR else "warning"
        self._log.write(level, "library", record.getMessage(), {"logger": record.name})
