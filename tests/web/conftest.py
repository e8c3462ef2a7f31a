"""One office for the tests of a module: each has people of its own in it."""

from collections.abc import Iterator

import pytest

from tests.web.office import Office, Opened


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with Opened(tmp_path_factory.mktemp("office")) as found:
        yield found
