"""What is started once for many tests is started by one of the processes that run them."""

import pytest


@pytest.mark.xdist_group("together")
@pytest.mark.parametrize("turn", [1, "a@b", "[2]"])
def test_a_group_is_known_to_whoever_deals_out_the_tests(request: pytest.FixtureRequest, turn: object) -> None:
    """The id is how a worker tells the scheduler; where nothing is dealt out, it is the plain one."""
    dealt = bool(request.config.getoption("loadgroup", default=False))

    assert dealt is request.node.nodeid.endswith("]@together"), (turn, request.node.nodeid)
