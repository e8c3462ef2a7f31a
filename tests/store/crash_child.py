"""A sender that is killed: run as a program, it forks one for each order it reads.

An order is a line of JSON: which database, which log, at which durable step and
the how-manieth time to die, or after how many milliseconds.  The sender finishes
what is unfinished, else it freezes a new issue; before it writes a result it
logs, as a server would, that the message has arrived.
"""

import json
import os
import signal
import sys
import threading
from threading import Event, Thread
from typing import Any

import sqlalchemy

from newsletter.clock import Ids, SystemClock
from newsletter.model import Delivery, DeliveryState, OnUnknown, Settlement
from newsletter.store import OutboxWriter, Store
from tests.store.samples import entry, freeze, people, record

CONNECTIONS = 4
READERS = 24


def main() -> None:
    # Loaded once, not in every sender.
    for kind in ("sqlite+pysqlite://", "postgresql+psycopg://"):
        sqlalchemy.create_engine(kind)
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            try:
                send(order)
                os._exit(0)
            finally:
                os._exit(1)
        after = order["milliseconds"]
        killer = threading.Timer(after / 1000, os.kill, (child, signal.SIGKILL)) if after else None
        if killer:
            killer.start()
        _, status = os.waitpid(child, 0)
        if killer:
            killer.cancel()
            killer.join()
        sys.stdout.write(f"{'killed' if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)}\n")
        sys.stdout.flush()


def send(order: dict[str, Any]) -> None:
    left = order["times"]

    def trace(step: str) -> None:
        nonlocal left
        if step == order["step"]:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
                Event().wait()

    with Store.open(order["url"], clock=SystemClock(), ids=Ids(), check=False) as store, store.lock():
        unfinished = store.unfinished()
        if unfinished:
            issue = unfinished[0]
            store.recover(issue.id, OnUnknown.resend)
        else:
            number = store.next_number("daily")
            record(store, *(entry(f"{number}-{n}") for n in range(5)))
            issue = freeze(store, *people(READERS), trace=trace)
        waiting = iter(store.due(issue.id, limit=READERS))
        log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        with store.outbox_writer(trace) as writer:
            turn = threading.Lock()
            connections = [Thread(target=connection, args=(waiting, turn, writer, log)) for _ in range(CONNECTIONS)]
            for one in connections:
                one.start()
            for one in connections:
                one.join()
        os.close(log)


def connection(waiting: Any, turn: threading.Lock, writer: OutboxWriter, log: int) -> None:
    while True:
        with turn:
            delivery: Delivery | None = next(waiting, None)
        if delivery is None:
            return
        if writer.intend(delivery.id).result():
            os.write(log, f"{delivery.issue_id} {delivery.key} {delivery.message_id}\n".encode())
            # The next intent of this connection is committed with this result or after it.
            writer.settle(Settlement(delivery_id=delivery.id, state=DeliveryState.sent, code=250))


if __name__ == "__main__":
    main()
