"""Runs one private Prefect server on 127.0.0.1, and ends it when nobody needs it any more.

It knows three reasons to end: no request for `--idle` seconds, the end of its standard input (`--stdin`: whoever
started it is gone), and SIGTERM. Once it answers it writes `--record`: pid, url, start time and the token that every
answer carries in the header `x-reconcile-server`, so that nobody takes another program on that port for it.
"""

import argparse
import contextlib
import fcntl
import json
import os
import shutil
import socket
import sqlite3
import sys
import threading
import time

GRACE = 10  # seconds that a stopping server may take before it is ended the hard way


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--record", required=True, help="file to write once the server answers")
    parser.add_argument("--token", required=True, help="what tells this server from any other")
    parser.add_argument("--port", type=int, default=0, help="preferred port; any free one if it is taken")
    parser.add_argument("--idle", type=float, default=0, help="seconds without a request after which to end; 0: never")
    parser.add_argument("--lock", help="file whose lock guards the record")
    parser.add_argument("--stdin", action="store_true", help="end when standard input does")
    parser.add_argument("--temporary", metavar="DIR", help="with --stdin: a directory to take along")
    parser.add_argument("--detach", action="store_true", help="leave the terminal's session")
    parser.add_argument("--once", metavar="DB", help="start, end, and leave this SQLite file whole")
    return parser.parse_args()


def listen(preferred):
    """A socket on the preferred port, or on any free one."""
    for port in (preferred, 0):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            return listener
        except OSError:
            listener.close()
            if not port:
                raise


class Meter:
    """The application, marked with our token, and when it was last asked anything."""

    def __init__(self, app, token):
        self.app, self.mark = app, (b"x-reconcile-server", token.encode())
        self.open, self.last = 0, time.monotonic()

    def idle(self):
        return 0.0 if self.open else time.monotonic() - self.last

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)

        async def marked(message):
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), self.mark]}
            await send(message)

        self.open += 1
        try:
            await self.app(scope, receive, marked)
        finally:
            self.open -= 1
            self.last = time.monotonic()


def write_record(path, record):
    fresh = f"{path}.{os.getpid()}"
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(record, file)
    os.replace(fresh, path)


def remove_record(path, token):
    """Remove our record; another server's is none of our business."""
    with contextlib.suppress(OSError, ValueError):
        with open(path) as file:
            record = json.load(file)
        if record["token"] == token:
            os.unlink(path)


def stop(server):
    """Ask the server to end; see to it that it does."""
    server.should_exit = True
    time.sleep(GRACE)
    os._exit(0)


def watch_idle(server, meter, args):
    """End when idle, but never while somebody holds the lock: he is about to use us."""
    while True:
        time.sleep(min(args.idle / 4, 5))
        if meter.idle() < args.idle:
            continue
        lock = open(args.lock, "a")  # stays open, and so locked, until this process is gone
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        if meter.idle() < args.idle:
            lock.close()
            continue
        remove_record(args.record, args.token)
        stop(server)


def end_soon(server):
    time.sleep(1)  # services that end before they began complain
    server.should_exit = True


def watch_stdin(server, temporary):
    while sys.stdin.buffer.read(4096):
        pass
    if temporary:  # nothing is worth a gentle end
        shutil.rmtree(temporary, ignore_errors=True)
        os._exit(0)
    stop(server)


def background(watch, *args):
    threading.Thread(target=watch, args=args, daemon=True).start()


def main():
    args = arguments()
    if args.detach:
        os.setsid()
    listener = listen(args.port)
    port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    os.environ.update(PREFECT_API_URL=url, PREFECT_SERVER_API_HOST="127.0.0.1", PREFECT_SERVER_API_PORT=str(port))

    import uvicorn
    from prefect.server.api.server import create_app

    class Server(uvicorn.Server):
        async def startup(self, sockets=None):
            await super().startup(sockets)
            if self.started:
                started = int(time.time())
                write_record(args.record, {"pid": os.getpid(), "url": url, "token": args.token, "started": started})
                if args.once:
                    background(end_soon, self)

    meter = Meter(create_app(), args.token)
    server = Server(uvicorn.Config(meter, log_level="warning", timeout_graceful_shutdown=GRACE // 2))
    if args.idle:
        background(watch_idle, server, meter, args)
    if args.stdin:
        background(watch_stdin, server, args.temporary)
    server.run(sockets=[listener])
    if not server.started:
        sys.exit(1)
    if args.once:
        with contextlib.closing(sqlite3.connect(args.once)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


if __name__ == "__main__":
    main()
