"""gunicorn's half of the drain contract."""
import os
import pathlib
import time

bind = ["0.0.0.0:8080", "0.0.0.0:8081"]  # the second one is for /drain
worker_class = "gthread"
workers = 2
threads = 32
worker_tmp_dir = "/tmp"
# Longer than clients keep a connection idle: whoever closes first should be the client.
keepalive = 120
# t1: how long a worker may finish what is in flight after SIGTERM.
graceful_timeout = int(os.environ.get("GRACEFUL_SHUTDOWN_SEC", "10"))
# t3 after the last call of /drain the pod has ended, or no SIGTERM followed the call.
GRACE = int(os.environ.get("GRACEFUL_TERMINATION_SEC", "30"))
DRAINING = pathlib.Path("/tmp/draining")


def on_starting(server):
    # The file outlives the container, and a restart by the liveness probe calls the hook too.
    DRAINING.unlink(missing_ok=True)


def draining():
    try:
        return time.time() < DRAINING.stat().st_mtime + GRACE
    except FileNotFoundError:
        return False


def pre_request(worker, req):
    # An app may not write Connection itself (PEP 3333). Without keep-alive gunicorn ends each connection with its answer.
    worker.cfg.set("keepalive", 0 if draining() else keepalive)
