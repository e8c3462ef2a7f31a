"""The queue: procrastinate carries jobs from process to process, and a job only says where to look.

What is to be sent stands in the outbox, and who may send it in its leases: a job
that is lost, comes late or comes twice changes nothing.  So the queue needs no
care.  Its tables have a schema of their own, beside that of the project, for each
version of procrastinate that makes other ones: workers of two versions have two
queues, and are kept apart by the leases alone (docs/adr/0030-shards.md).
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

from newsletter.errors import NewsletterError

if TYPE_CHECKING:
    import procrastinate
    import psycopg
    from sqlalchemy.engine import URL, Connection

#: Seconds between two looks at the queue, where nothing is in it.
_LOOK: Final = 1.0
#: Jobs of a worker that was not heard of for so many seconds are nobody's.
_STALLED: Final = 60.0
_DISPATCH, _CHORES = "dispatch", "chores"
_DELIVER: Final = "newsletter.deliver"
#: The chore that looks for shards without a job, and for jobs whose worker is gone.
SWEEP: Final = "sweep"
_MISSING: Final = "several machines need the package procrastinate, which is not installed here"
_HINT: Final = "pip install 'newsletter-press[scale]'"
#: How long a name may be in PostgreSQL.
_LONGEST_NAME: Final = 63

Chore = Callable[[], Awaitable[None]]


class Lines(Protocol):
    """What the connections with the database have in common, those of the queue too (`store.lines`)."""

    @property
    def settings(self) -> Mapping[str, str]:
        """What every session with the server runs with."""
        ...

    def add(self, connection: Any) -> None:
        """Have one more that can be given up."""


def is_installed() -> bool:
    """Whether jobs can be had here."""
    try:
        import procrastinate  # noqa: F401
    except ImportError:
        return False
    return True


def is_about_the_database(error: Exception) -> bool:
    """Whether that is how procrastinate, the driver or its pool say that the database does not answer."""
    import psycopg
    from procrastinate.exceptions import ConnectorException
    from psycopg_pool import PoolClosed, PoolTimeout

    return isinstance(error, psycopg.Error | ConnectorException | PoolTimeout | PoolClosed | OSError)


def prepare(connection: "Connection") -> str:
    """Make the tables of the queue where they are missing; returns their schema.

    Args:
        connection: a writing transaction.

    Raises:
        NewsletterError: procrastinate is not installed.
    """
    schema = _schema(connection)
    if not _is_there(connection, schema):
        from procrastinate.schema import SchemaManager

        # One at a time: whoever comes second finds them.
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext(%s))", (schema,))
        if not _is_there(connection, schema):
            _make_schema(connection, schema)
            with _within(connection, schema):
                # Without parameters: there are percent signs in it.
                connection.execution_options(no_parameters=True).exec_driver_sql(SchemaManager.get_schema())
    return schema


def hand_out(connection: "Connection", shards: Sequence[tuple[int, int]]) -> int:
    """Put a job for each shard into the queue, within a transaction; returns how many.

    None where there is no queue: whoever sweeps finds the shards without.

    Args:
        connection: a writing transaction of the store's.
        shards: of each the issue's id and its number.
    """
    if not shards or not is_installed():
        return 0
    schema = _schema(connection)
    if not _is_there(connection, schema):
        return 0
    deliver = _writing().configure_task(_DELIVER, queue=_DISPATCH, connection=connection.connection.driver_connection)
    jobs: list[dict[str, Any]] = [{"issue": issue, "shard": number} for issue, number in shards]
    with _within(connection, schema):
        deliver.batch_defer(*jobs)
    return len(shards)


class Queue:
    """The jobs of a project, for a worker.

    Args:
        url: the database's, with its password.
        schema: of the queue, as `prepare` says.
        lines: what its connections are added to.
        deliver: sends a shard, given the issue's id and the shard's number; raises nothing.
        chores: what is to be done once a minute by one of all workers, by name; raise nothing.
        poll: asks the feeds of one part of all hosts, given its number; raises nothing.
    """

    def __init__(
        self,
        url: "URL",
        schema: str,
        lines: Lines,
        *,
        deliver: Callable[[int, int], Awaitable[None]],
        chores: Mapping[str, Chore],
        poll: Callable[[int], Awaitable[None]],
    ) -> None:
        for name in ("procrastinate", "psycopg"):
            # What goes wrong is said by whoever runs the queue.
            logging.getLogger(name).addHandler(logging.NullHandler())
            logging.getLogger(name).propagate = False
        conninfo = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._dispatch, self._chores = _app(conninfo, schema, lines), _app(conninfo, schema, lines)

        @self._dispatch.task(name=_DELIVER, queue=_DISPATCH)
        async def deliver_shard(issue: int, shard: int) -> None:
            await deliver(issue, shard)

        @self._chores.task(name="newsletter.poll", queue=_CHORES)
        async def poll_hosts(part: int) -> None:
            await poll(part)

        for name, chore in chores.items():
            self._add(name, chore)

    def _add(self, name: str, chore: Chore) -> None:
        async def run(timestamp: int) -> None:  # noqa: ARG001 - which minute it is for
            await chore()

        # What frees the locks of the dead must need none.
        lock = None if name == SWEEP else name
        task = self._chores.task(name=f"newsletter.{name}", queue=_CHORES, lock=lock, queueing_lock=name)(run)
        self._chores.periodic(cron="* * * * *")(task)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Be connected as long as the block lasts; all that follows wants it."""
        asyncio.get_running_loop().set_exception_handler(_unless_told)
        async with self._dispatch.open_async(), self._chores.open_async():
            yield

    async def work(self, concurrency: int, stop: asyncio.Event) -> None:
        """Do jobs until `stop` is set; those that are begun are finished.

        Raises:
            procrastinate.exceptions.ConnectorException, and what the driver raises: the database does not answer.
        """
        work = [
            asyncio.ensure_future(self._worker(self._dispatch, _DISPATCH, concurrency)),
            asyncio.ensure_future(self._worker(self._chores, _CHORES, 2)),
        ]
        stopped = asyncio.ensure_future(stop.wait())
        try:
            done, _ = await asyncio.wait((*work, stopped), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*work, stopped):
                task.cancel()
            results = await asyncio.gather(*work, stopped, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result
        if stopped not in done:
            raise NewsletterError("the queue does not answer")

    async def until_empty(self, concurrency: int) -> None:
        """Do the jobs that send shards, until there is none left."""
        await self._worker(self._dispatch, _DISPATCH, concurrency, wait=False)

    @staticmethod
    async def _worker(app: "procrastinate.App", queue: str, concurrency: int, *, wait: bool = True) -> None:
        await app.run_worker_async(
            queues=[queue],
            concurrency=concurrency,
            wait=wait,
            fetch_job_polling_interval=_LOOK,
            # NOTIFY takes a lock of the whole database at every commit.
            listen_notify=False,
            delete_jobs="always",
            install_signal_handlers=False,
        )

    async def waiting(self) -> set[tuple[int, int]]:
        """Shards for which there is a job that nobody has begun."""
        jobs = await self._dispatch.job_manager.list_jobs_async(task=_DELIVER, status="todo")
        return {(job.task_kwargs["issue"], job.task_kwargs["shard"]) for job in jobs}  # type: ignore[misc]

    async def poll_soon(self, part: int) -> None:
        """Have somebody ask the feeds of this part, unless that is to be done anyway."""
        from procrastinate.exceptions import AlreadyEnqueued

        name = f"poll {part}"
        task = self._chores.configure_task(
            "newsletter.poll", queue=_CHORES, lock=name, queueing_lock=name, task_kwargs={"part": part}
        )
        with suppress(AlreadyEnqueued):
            await task.defer_async()

    async def drop_stalled(self) -> int:
        """Let go of jobs whose worker is gone: what they were for is found without them; returns how many."""
        from procrastinate.jobs import Status

        manager = self._chores.job_manager
        stalled = list(await manager.get_stalled_jobs(seconds_since_heartbeat=_STALLED))
        for job in stalled:
            await manager.finish_job(job, Status.FAILED, delete_job=True)
        return len(stalled)


def _unless_told(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Leave out what procrastinate drops when the database goes away: jobs whose end it could not write down."""
    error = context.get("exception")
    if not (isinstance(error, Exception) and is_about_the_database(error)):
        loop.default_exception_handler(context)


def _writing() -> "procrastinate.App":
    """An app of procrastinate's that only writes jobs into transactions of others."""
    try:
        import procrastinate
    except ImportError as error:
        raise NewsletterError(_MISSING, hint=_HINT) from error
    return procrastinate.App(connector=procrastinate.SyncPsycopgConnector())


def _app(conninfo: str, schema: str, lines: Lines) -> "procrastinate.App":
    """An app of procrastinate's with connections of its own."""
    import procrastinate

    async def configure(connection: "psycopg.AsyncConnection[Any]") -> None:
        lines.add(connection)

    settings = {"search_path": f'"{schema}"', **lines.settings}
    connector = procrastinate.PsycopgConnector(
        conninfo=conninfo,
        kwargs={"options": " ".join(f"-c {name}={value}" for name, value in settings.items())},
        configure=configure,
        min_size=1,
        max_size=4,
        timeout=10.0,
    )
    return procrastinate.App(connector=connector)


def _schema(connection: "Connection") -> str:
    """The schema of the queue of this version of procrastinate, for a project in the present schema."""
    try:
        from procrastinate import __version__
    except ImportError as error:
        raise NewsletterError(_MISSING, hint=_HINT) from error
    version = "_".join(__version__.split(".")[:2])
    project = connection.exec_driver_sql("SELECT current_schema()").scalar_one()
    ending = f"_jobs_{version}"
    return f"{project[: _LONGEST_NAME - len(ending)]}{ending}"


def _make_schema(connection: "Connection", schema: str) -> None:
    """Make the schema unless somebody who may has done so already."""
    wanted = "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = %s)"
    if connection.exec_driver_sql(wanted, (schema,)).scalar_one():
        return
    may = "SELECT has_database_privilege(current_database(), 'CREATE'), quote_ident(current_user)"
    allowed, user = connection.exec_driver_sql(may).one()
    if not allowed:
        raise NewsletterError(
            f"the database's user {user} may not create the schema of the queue of workers, {schema}",
            hint=f'have the owner of the database run once: CREATE SCHEMA "{schema}" AUTHORIZATION {user}',
        )
    connection.exec_driver_sql(f'CREATE SCHEMA "{schema}"')


def _is_there(connection: "Connection", schema: str) -> bool:
    # Not to_regclass(): what a session has once looked for and not found it may remember for the whole transaction.
    wanted = "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = %s AND tablename = 'procrastinate_jobs')"
    return bool(connection.exec_driver_sql(wanted, (schema,)).scalar_one())


@contextmanager
def _within(connection: "Connection", schema: str) -> Iterator[None]:
    """Have names without a schema mean those of the queue, for the block."""
    before: Any = connection.exec_driver_sql("SELECT current_setting('search_path')").scalar_one()
    connection.exec_driver_sql("SELECT set_config('search_path', %s, true)", (f'"{schema}"',))
    yield
    connection.exec_driver_sql("SELECT set_config('search_path', %s, true)", (before,))
