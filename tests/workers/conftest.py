"""A project whose issues several workers send."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workers.crew import Mail, Plant


@pytest.fixture
def mail() -> Iterator[Mail]:
    with Mail() as mail:
        yield mail


@pytest.fixture
def plant(tmp_path: Path, postgres_url: str, mail: Mail) -> Iterator[Plant]:
    # An empty password is one, and may not stand in the file.
    plant = Plant(tmp_path, postgres_url.replace(":@", "@"), mail)
    try:
        yield plant
    finally:
        plant.finish()
