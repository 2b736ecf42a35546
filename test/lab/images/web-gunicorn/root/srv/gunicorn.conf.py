"""gunicorn's half of the drain contract."""
import os
import pathlib

bind = "0.0.0.0:8080"
worker_class = "gthread"
workers = 2
threads = 32
worker_tmp_dir = "/tmp"
# Longer than clients keep a connection idle: whoever closes first should be the client.
keepalive = 120
# t1: how long a worker may finish what is in flight after SIGTERM.
graceful_timeout = int(os.environ.get("GRACEFUL_SHUTDOWN_SEC", "10"))


def pre_request(worker, req):
    # An app may not write Connection itself (PEP 3333). Without keep-alive gunicorn ends each connection with its answer.
    if worker.cfg.keepalive and pathlib.Path("/tmp/draining").exists():
        worker.cfg.set("keepalive", 0)
