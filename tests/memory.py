"""Where tests may put files that need no disk."""

import os
import shutil
from pathlib import Path


def in_memory() -> str | None:
    """A folder in memory with room for a server and all files of a run, if this machine has one."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2**31
    return str(memory) if roomy else None
