"""A real volume with a real `guard watch` that listens, to be scraped; and kube-state-metrics, played by a page."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.linux.sandbox import Running, Sandbox
from tests.monitoring.server import Target

#: `$V` is the volume's own mount, as the node has it; `$P` the pod's, bound to it: ten files in two skills.
_SET_UP = """
mkdir -p $V $W/kept
mount -t tmpfs -o mode=755 volume $V
mount --bind $V $P
mkdir -p $P/tenant/pdf $P/tenant/docx
cd $P/tenant; touch pdf/1 pdf/2 pdf/3 pdf/4 docx/1 docx/2 docx/3 docx/4 docx/5 docx/6
"""


class Watched:
    """One pod."""

    def __init__(self, sandbox: Sandbox, watcher: Running) -> None:
        self.sandbox = sandbox
        self.watcher = watcher

    def sh(self, script: str) -> None:
        """Runs shell lines where the volume is mounted."""
        self.sandbox.sh(script, V=f"{self.sandbox.work}/volume")

    def hears(self, event: str) -> None:
        """Waits until the watcher has said it."""
        while self.watcher.next_line()["event"] != event:
            pass

    def guard(self, *arguments: str) -> None:
        """Runs a command of the guard on the volume."""
        ended = self.sandbox.guard(*arguments)
        assert ended.status == 0, ended.stderr


@contextmanager
def watched(pod: str, port: int) -> Iterator[Watched]:
    """Adopts a volume and watches over it; the files are kept in `$W/kept` for a recovery."""
    with Sandbox() as sandbox:
        sandbox.defaults |= {
            "GUARD_KINDS": "memory,fuse", "GUARD_POD": pod, "GUARD_NODE": "node-1", "GUARD_NAMESPACE": "dev",
            "GUARD_LISTEN": f"127.0.0.1:{port}", "GUARD_INTERVAL": "1s", "GUARD_SETTLE": "500ms",
            "GUARD_PROBE_TIMEOUT": "2s",
        }  # fmt: skip
        sandbox.sh(_SET_UP, V=f"{sandbox.work}/volume")
        adopted = sandbox.guard("adopt")
        assert adopted.status == 0, adopted.stderr
        sandbox.sh("cp -a $P/. $W/kept")
        with sandbox.guard_in_background("watch") as watcher:
            one = Watched(sandbox, watcher)
            one.hears("watch.started")
            yield one


def target(pod: str, port: int) -> Target:
    """What the PodMonitor makes of the pod's port."""
    labels = {"namespace": "dev", "pod": pod, "container": "volume-guard-watch"}
    return Target("dev/volume-guard", f"127.0.0.1:{port}", labels)


@contextmanager
def kube_state_metrics(port: int, page: str) -> Iterator[Target]:
    """Serves a page in the format of Prometheus."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Target("kube-state-metrics", f"127.0.0.1:{port}", {})
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def running(pod: str) -> str:
    """What kube-state-metrics says of a guarded pod that runs, with its claim."""
    labels = f'namespace="dev",pod="{pod}",uid="u-{pod}"'
    init = "kube_pod_init_container"
    return f"""\
kube_pod_owner{{{labels},owner_kind="ReplicaSet",owner_name="skills"}} 1
kube_pod_status_phase{{{labels},phase="Running"}} 1
kube_pod_status_phase{{{labels},phase="Pending"}} 0
kube_pod_spec_volumes_persistentvolumeclaims_info{{{labels},volume="skills",persistentvolumeclaim="{pod}"}} 1
kube_persistentvolumeclaim_status_phase{{namespace="dev",persistentvolumeclaim="{pod}",phase="Bound"}} 1
{init}_info{{{labels},container="volume-guard-gate",image="volume-guard",restart_policy=""}} 1
{init}_info{{{labels},container="volume-guard-watch",image="volume-guard",restart_policy="Always"}} 1
{init}_status_ready{{{labels},container="volume-guard-gate"}} 1
{init}_status_ready{{{labels},container="volume-guard-watch"}} 1
{init}_status_terminated_reason{{{labels},container="volume-guard-gate",reason="Completed"}} 1
"""
