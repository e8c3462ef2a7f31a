"""What lies between a worker and its database, and can fail: a proxy from a TCP port to a Unix socket.

python tests/workers/proxy.py SOCKET      prints its port; takes one word a line on its standard input:

cut      end all connections by RST, and refuse new ones likewise
swallow  take what comes, pass nothing on, say nothing; new connections too
slow     pass everything on, 50 ms late in each direction
heal     pass on what comes over connections made from now on; those that were swallowed stay so
"""

import asyncio
import os
import socket
import struct
import sys
from contextlib import suppress

#: RST instead of FIN: SO_LINGER of no time.
_AT_ONCE = struct.pack("ii", 1, 0)


class Proxy:
    """The proxy; `mode` is what it does to connections."""

    def __init__(self, target: str) -> None:
        self.mode = "heal"
        self._target = target
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def become(self, mode: str) -> None:
        self.mode = mode
        if mode == "cut":
            for writer in list(self._open):
                _reset(writer)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode == "cut":
            _reset(writer)
            return
        if self.mode == "swallow":
            with suppress(OSError):
                while await reader.read(2**16):
                    pass
            writer.close()
            return
        there, back = await asyncio.open_unix_connection(self._target)
        pair = {writer, back}
        self._open |= pair
        lost = asyncio.Event()
        try:
            await asyncio.gather(self._pass_on(reader, back, lost), self._pass_on(there, writer, lost))
        finally:
            self._open -= pair
            for one in pair:
                one.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lost: asyncio.Event) -> None:
        try:
            while data := await reader.read(2**16):
                if self.mode == "swallow":
                    lost.set()
                if self.mode == "slow":
                    await asyncio.sleep(0.05)
                if not lost.is_set():
                    writer.write(data)
                    await writer.drain()
        except OSError:
            pass
        if not lost.is_set():
            writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.family != socket.AF_UNIX:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    writer.transport.abort()


async def _serve(target: str) -> None:
    proxy = Proxy(target)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)

    def hear() -> None:
        word = sys.stdin.readline().strip()
        if not word:
            # Whoever started it is gone.
            os._exit(0)
        proxy.become(word)
        print(word, flush=True)

    asyncio.get_running_loop().add_reader(sys.stdin, hear)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
