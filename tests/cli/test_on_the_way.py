"""`suppression add` in the middle of a send: what may still arrive is said."""

from newsletter.clock import Ids, SystemClock
from newsletter.store import Store
from tests.cli.conftest import Wire
from tests.cli.servers import Moody

ADA, GRACE = "ada@example.com", "grace@example.com"


def test_who_is_suppressed_while_a_message_is_on_the_way_is_told_so(wire: Wire, moody: Moody) -> None:
    wire.configure(wire.web.feed("/a.xml", "One"), people=f"- {ADA}\n- {GRACE}\n", smtp=moody.smtp)
    moody.replies.update({ADA: "450 4.2.0 later", GRACE: "450 4.2.0 later"})
    wire("send", "-y")
    database = str(wire.folder / ".newsletter" / "newsletter.db")
    [row] = wire("delivery", "list", "--email", ADA, "--json").data
    with Store.open(database, clock=SystemClock(), ids=Ids()) as store, store.outbox_writer() as writer:
        assert writer.intend(row["id"]).result(10)

        said = wire("suppression", "add", ADA, "--reason", "unsubscribed")
        again = wire("suppression", "add", ADA, "--json")
        other = wire("suppression", "add", GRACE)

    assert (
        f"{ADA} will not be mailed (unsubscribed)\n1 message is on the way just now and may still arrive\n" == said.err
    )
    assert (ADA, "unsubscribed", 1) == tuple(again.data[name] for name in ("email", "reason", "on_the_way"))
    assert f"{GRACE} will not be mailed (manual)\n" == other.err
