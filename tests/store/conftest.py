"""Both databases for every test of the store: SQLite in a temporary folder, PostgreSQL from a wheel."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from newsletter.clock import Ids
from newsletter.store import Store
from tests.conftest import FakeClock, counting_ids


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that has all tables already."""
    path = tmp_path_factory.mktemp("template") / "newsletter.db"
    Store.open(str(path), clock=FakeClock(), ids=counting_ids()).close()
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    path = tmp_path / "state" / "newsletter.db"
    path.parent.mkdir(mode=0o700)
    shutil.copyfile(sqlite_template, path)
    path.chmod(0o600)
    return str(path)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """The address of a database with all tables and no rows, on one and on the other."""
    found: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return found


@pytest.fixture
def open_store(clock: FakeClock, ids: Ids) -> Iterator[Callable[..., Store]]:
    """Opens stores that share the test's clock, and closes them at its end."""
    with ExitStack() as stack:

        def opener(address: str, **options: Any) -> Store:
            return stack.enter_context(Store.open(address, clock=clock, ids=ids, **options))

        yield opener


@pytest.fixture
def store(open_store: Callable[..., Store], url: str) -> Store:
    return open_store(url)
