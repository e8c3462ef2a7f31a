"""A static server for machines without nginx: FOLDER PORT."""

import sys

from aiohttp import web


def main() -> None:
    app = web.Application()
    app.router.add_static("/", sys.argv[1])
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[2]), print=None, access_log=None)


if __name__ == "__main__":
    main()
