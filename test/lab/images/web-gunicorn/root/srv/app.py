"""A WSGI app whose pod loses no request when it goes; gunicorn.conf.py has the other half of the drain contract."""
import os
import pathlib
import time
import urllib.parse

# One file for all workers: each of them must hear of the drain.
DRAINING = pathlib.Path("/tmp/draining")
PRE_STOP = int(os.environ.get("GRACEFUL_PRESTOP_SEC", "5"))  # t2
ADMIN_PORT = "8081"  # the Service does not target it


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/drain" and environ["SERVER_PORT"] == ADMIN_PORT:
        DRAINING.touch()
        time.sleep(PRE_STOP)  # SIGTERM comes as soon as this returns
    elif path not in ("/readyz", "/livez"):
        query = urllib.parse.parse_qs(environ["QUERY_STRING"])
        time.sleep(float(query.get("seconds", ["0"])[0]))
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "6")])
    return [b"hello\n"]
