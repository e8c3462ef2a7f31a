"""What machines that send together are allowed to begin, so that no rate is broken by all of them.

A grant is a row: so many messages, and the moment by which the last of them
begins.  It counts for every window that this moment may lie in, used or not.
Whoever got it says at the next request how many did begin and when, and its row
becomes that: what was not used is free again.  All requests for one server take
turns, and all moments are the database's.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.model import Allowed, DeliveryState, Grant, Need, Spent
from newsletter.store import tables as t
from newsletter.store.base import Part

Rates = Sequence[tuple[int, float]]

#: Messages are not all equally long on their way: a window is kept longer by this share of it, and by so many seconds.
_JITTER: Final = (0.05, 0.05)
#: A row that lies further ahead was written before the database's clock was set back.
_AHEAD: Final = 60.0
#: From so many rows of one scope on, those of before so many seconds are put together, as many in this share of a window.
_MANY: Final = 300
_OLD: Final = 30.0
_SHARE: Final = 1 / 200
#: For so many seconds at least it stays known what was sent before, and rows are kept.
_KNOWN: Final = 3_600.0
_KEPT: Final = 60.0
#: So often at most it is written down that all is known: this share of the longest window, within bounds.
_MARKED: Final = (0.05, 60.0, 3_600.0)
#: What a server has taught us longer ago is forgotten: servers change, and only going faster shows it.
LASTING: Final = timedelta(days=30)
_NO_LIMIT: Final = 2**31 - 1


def lengthened(seconds: float) -> float:
    """How long a message counts for a window of so many seconds."""
    share, most = _JITTER
    return seconds + min(share * seconds, most)


def room(rates: Rates, past: Sequence[tuple[float, int]]) -> tuple[int, float]:
    """How many messages may begin now; where none may, seconds until there may be one.

    Args:
        rates: (messages, seconds); all of them hold.
        past: how long ago messages began at the latest (less than 0: they still may), and how many.
    """
    most, wait = _NO_LIMIT, 0.0
    for count, seconds in rates:
        length = lengthened(seconds)
        live = sorted(((age, number) for age, number in past if age < length), reverse=True)
        left = count - sum(number for _, number in live)
        most = min(most, left)
        for age, number in live:
            if left > 0:
                break
            left += number
            wait = max(wait, length - age) if left > 0 else wait
    return max(most, 0), wait


class _Row(NamedTuple):
    id: int
    scope: str
    moment: datetime
    number: int
    age: float


class Allowances(Part):
    """Permissions to begin messages, for all who send; on PostgreSQL."""

    def allow(
        self,
        server: str,
        needs: Sequence[Need],
        spent: Sequence[Spent] = (),
        *,
        rules: str = "",
        past: Iterable[tuple[float, str]] | None = None,
    ) -> Allowed:
        """Grant what may begin now, and take back what was granted and not used.

        The first need decides: where nothing is left for it, the others get nothing.

        Args:
            server: "host:port".
            needs: what is wanted; each scope once.
            spent: what has become of earlier grants; those of which none began are forgotten.
            rules: stands for all the rates that the caller keeps to.  What is known of earlier
                messages is known for these; where it is not, the answer says so.
            past: then: how many seconds ago messages that these rates count were answered for,
                and the scope of each; a message comes once for each of its scopes.

        Transaction: one write, after those of others for this server.
        """
        scopes = {need.scope: f"{server} {need.scope}".rstrip() for need in needs}
        mark = f"{server} #{rules}"
        with self._database.write() as connection:
            _take_turn(connection, server)
            _settle(connection, spent)
            pause, learned, known = self._standing(connection, server, mark)
            longest = max(
                (seconds for _, seconds in (*learned, *(one for need in needs for one in need.rates))), default=0
            )
            if needs and past is None and (known is None or known > max(longest, _KNOWN)):
                return Allowed(grants={}, waits={}, pause=pause, rates=tuple(learned), is_known=False)
            if past is not None:
                _seed(connection, server, longest, past)
            if needs and (known is None or known > _mark_lasts(longest)):
                _mark(connection, server, mark, longest)
            if pause > 0:
                return Allowed(grants={}, waits={}, pause=pause, rates=tuple(learned))
            found = _rows(connection, list(scopes.values()), longest)
            given: dict[str, tuple[Need, int]] = {}
            waits = {}
            for need in needs:
                rows = found[scopes[need.scope]]
                rates = (*need.rates, *learned) if not need.scope else need.rates
                free, wait = room(rates, [(row.age, row.number) for row in rows])
                number = min(need.number, free)
                if number or need.owed:
                    given[need.scope] = need, number
                if not number and need.number:
                    waits[need.scope] = wait
                    if not need.scope:
                        break
                if len(rows) > _MANY:
                    _put_together(connection, rows, rates)
            grants = _write(connection, scopes, given)
        return Allowed(grants=grants, waits=waits, rates=tuple(learned))

    def taken_since(self, seconds: float) -> int:
        """How many messages a server has taken in the last seconds, of whatever issue and from whatever machine.

        Transaction: one read.
        """
        row = t.deliveries.c
        since = self._clock.now() - timedelta(seconds=seconds)
        wanted = sa.select(sa.func.count()).where(row.settled_at >= since, row.state == DeliveryState.sent)
        with self._database.read() as connection:
            return int(connection.execute(wanted).scalar_one())

    def _standing(self, connection: Connection, server: str, mark: str) -> tuple[float, Rates, float | None]:
        """For how many seconds the server wants nothing, at which rates it takes messages, and how old the mark is."""
        row = connection.execute(
            _STANDING, {"server": server, "mark": mark, "since": self._clock.now() - LASTING}
        ).one()
        rates = [(int(count), float(seconds)) for count, seconds in row.rates or ()]
        return max(row.pause or 0.0, 0.0), rates, row.known


_ROW = t.allowances.c
_NOW: Final = sa.func.clock_timestamp()
#: Seconds since a row's moment, when the statement began.
_AGE: Final = sa.cast(sa.extract("epoch", sa.func.statement_timestamp() - _ROW.granted_at), sa.Float)
_STANDING: Final = sa.select(
    sa.select(sa.cast(sa.extract("epoch", t.circuits.c.open_until - sa.func.statement_timestamp()), sa.Float))
    .where(t.circuits.c.server == sa.bindparam("server"), t.circuits.c.failures == 0)
    .scalar_subquery()
    .label("pause"),
    sa.select(t.server_limits.c.rates)
    .where(t.server_limits.c.server == sa.bindparam("server"), t.server_limits.c.learned_at >= sa.bindparam("since"))
    .scalar_subquery()
    .label("rates"),
    sa.select(sa.func.min(_AGE)).where(_ROW.scope == sa.bindparam("mark")).scalar_subquery().label("known"),
)


def _take_turn(connection: Connection, server: str) -> None:
    """Let nobody else be granted anything for this server before this transaction ends."""
    name = sa.func.current_schema() + sa.literal(f" allowances {server}")
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(name, 0))))


def _rows(connection: Connection, scopes: Sequence[str], longest: float) -> Mapping[str, list[_Row]]:
    """What was granted in the last seconds, by scope."""
    since = sa.func.statement_timestamp() - timedelta(seconds=lengthened(longest))
    wanted = sa.select(_ROW.id, _ROW.scope, _ROW.granted_at, _ROW.number, _AGE).where(
        _ROW.scope.in_(scopes), _ROW.granted_at > since
    )
    rows = [_Row(*row) for row in connection.execute(wanted)]
    if any(row.age < -_AHEAD for row in rows):
        # The clock was set back: nobody waits for more than a window.
        late = [row.id for row in rows if row.age < -_AHEAD]
        connection.execute(sa.update(t.allowances).where(_ROW.id.in_(late)).values(granted_at=_NOW))
        rows = [row._replace(age=max(row.age, 0.0)) if row.age < -_AHEAD else row for row in rows]
    found = defaultdict[str, list[_Row]](list)
    for row in rows:
        found[row.scope].append(row)
    return found


def _settle(connection: Connection, spent: Sequence[Spent]) -> None:
    """Write what has become of grants; where a row is gone, so it stays."""
    if used := [one for one in spent if one.number]:
        moment = sa.bindparam("moment", type_=_ROW.granted_at.type)
        connection.execute(
            sa.update(t.allowances)
            .where(_ROW.id == sa.bindparam("grant"))
            .values(number=sa.bindparam("used"), granted_at=sa.func.least(moment, _NOW)),
            [{"grant": one.grant, "used": one.number, "moment": one.until} for one in used],
        )
    if unused := [one.grant for one in spent if not one.number]:
        connection.execute(sa.delete(t.allowances).where(_ROW.id.in_(unused)))


def _seed(connection: Connection, server: str, longest: float, past: Iterable[tuple[float, str]]) -> None:
    """Count messages of which there is no grant: of before there were rates, or from another database."""
    ages = defaultdict[str, list[float]](list)
    for age, scope in past:
        ages[f"{server} {scope}".rstrip()].append(age)
    if not ages:
        return
    since = sa.func.statement_timestamp() - timedelta(seconds=lengthened(longest))
    granted = sa.select(_ROW.scope, sa.func.sum(_ROW.number)).where(_ROW.scope.in_(list(ages)), _ROW.granted_at > since)
    counted = {scope: int(number) for scope, number in connection.execute(granted.group_by(_ROW.scope))}
    step = max(longest * _SHARE, 0.001)
    numbers = defaultdict[tuple[str, float], int](int)
    for scope, each in ages.items():
        # Which of them were granted is not known: those count that count for longest.
        for age in sorted(each)[: max(len(each) - counted.get(scope, 0), 0)]:
            numbers[scope, age // step * step] += 1
    _insert(connection, [(scope, -age, number) for (scope, age), number in numbers.items()])


def _insert(connection: Connection, rows: Sequence[tuple[str, float, int]]) -> None:
    """Write rows: scope, seconds from now, number."""
    if rows:
        moment = _NOW + sa.bindparam("after", type_=sa.Interval)
        connection.execute(
            sa.insert(t.allowances).values(granted_at=moment),
            [{"scope": scope, "after": timedelta(seconds=after), "number": number} for scope, after, number in rows],
        )


def _mark_lasts(longest: float) -> float:
    share, least, most = _MARKED
    return min(max(share * longest, least), most)


def _mark(connection: Connection, server: str, mark: str, longest: float) -> None:
    """Write that everything of before is known, and for how long rows are wanted; let go of older ones."""
    kept = f"{server} #"
    ours = sa.func.split_part(_ROW.scope, " ", 1) == server
    mine = (_ROW.scope == mark) | ((_ROW.scope == kept) & (_ROW.number == int(longest)))
    connection.execute(sa.delete(t.allowances).where(mine))
    _insert(connection, [(mark, 0.0, 0), (kept, 0.0, int(longest))])
    # Others may keep to longer windows just now.
    most = connection.execute(
        sa.select(sa.func.max(_ROW.number)).where(
            _ROW.scope == kept, _ROW.granted_at > sa.func.statement_timestamp() - timedelta(days=1)
        )
    ).scalar_one()
    before = sa.func.statement_timestamp() - timedelta(seconds=lengthened(max(most, longest, _KEPT)))
    marks = _ROW.scope.startswith(kept, autoescape=True) & (_ROW.granted_at > _NOW - timedelta(days=1))
    connection.execute(sa.delete(t.allowances).where(ours, _ROW.granted_at < before, ~marks))


def _put_together(connection: Connection, rows: Sequence[_Row], rates: Rates) -> None:
    """Make one row of many old ones, as if all had begun when the last did; never more than a share of a window later."""
    lengths = sorted(seconds for _, seconds in rates)
    groups = defaultdict[tuple[float, int], list[_Row]](list)
    for row in rows:
        # The shortest window that it still counts for says how exact it must be.
        counts_for = next((one for one in lengths if row.age < lengthened(one)), None)
        if row.age > _OLD and counts_for is not None:
            step = counts_for * _SHARE
            groups[step, int(row.moment.timestamp() // step)].append(row)
    for group in groups.values():
        if len(group) > 1:
            last = max(group, key=lambda row: row.moment)
            others = [row.id for row in group if row.id != last.id]
            number = sum(row.number for row in group)
            connection.execute(sa.update(t.allowances).where(_ROW.id == last.id).values(number=number))
            connection.execute(sa.delete(t.allowances).where(_ROW.id.in_(others)))


def _write(
    connection: Connection, scopes: Mapping[str, str], given: Mapping[str, tuple[Need, int]]
) -> dict[str, Grant]:
    """Write what is granted, and what has begun without; what may begin."""
    grants = {}
    for scope, (need, number) in given.items():
        row = connection.execute(
            sa.insert(t.allowances)
            .values(
                scope=scopes[scope],
                number=number + need.owed,
                granted_at=_NOW + sa.literal(timedelta(seconds=need.lasts), sa.Interval),
            )
            .returning(_ROW.id, _ROW.granted_at)
        ).one()
        grants[scope] = Grant(id=row.id, number=number, until=row.granted_at)
    return grants
