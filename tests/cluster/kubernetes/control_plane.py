"""etcd, API server, controller manager and scheduler: their command lines, their start and their end."""

from tests.cluster.kubernetes.build import Programs
from tests.cluster.kubernetes.command import attempt
from tests.cluster.kubernetes.layout import ETCD_CLIENTS, ETCD_PEERS, SERVICE_RANGE, Layout
from tests.cluster.kubernetes.processes import Daemon
from tests.cluster.waiting import wait_until

#: In the order of their start, with the seconds each is given to end. An API server waits for watchers that are gone.
PARTS = {"etcd": 10.0, "kube-apiserver": 3.0, "kube-controller-manager": 3.0, "kube-scheduler": 3.0}


def start(layout: Layout, programs: Programs) -> None:
    """Starts the control plane and waits until the API server is ready."""
    (layout.state / "etcd").mkdir(mode=0o700, exist_ok=True)
    commands = {
        "etcd": _etcd(layout),
        "kube-apiserver": _api_server(layout),
        "kube-controller-manager": _controller_manager(layout),
        "kube-scheduler": _component(layout, "scheduler"),
    }
    ready = (programs.kubernetes / "kubectl", "--kubeconfig", layout.kubeconfig(), "get", "--raw", "/readyz")
    for name in PARTS:
        Daemon(name, layout).start(programs.kubernetes / name, *commands[name])
        if name == "kube-apiserver":
            wait_until(f"the API server (logs: {layout.logs})", lambda: attempt(*ready).returncode == 0, 60)


def stop(layout: Layout) -> None:
    """Ends it, the last that was started first."""
    for name, seconds in reversed(PARTS.items()):
        Daemon(name, layout).stop(seconds)


def _etcd(layout: Layout) -> list[str]:
    return [
        f"--data-dir={layout.state}/etcd",
        f"--listen-client-urls={ETCD_CLIENTS}",
        f"--advertise-client-urls={ETCD_CLIENTS}",
        f"--listen-peer-urls={ETCD_PEERS}",
        f"--initial-advertise-peer-urls={ETCD_PEERS}",
        f"--initial-cluster=default={ETCD_PEERS}",
        "--unsafe-no-fsync",  # a test's cluster may lose its last second
        "--log-level=warn",
    ]


def _api_server(layout: Layout) -> list[str]:
    pki = layout.certificates
    return [
        f"--etcd-servers={ETCD_CLIENTS}",
        "--bind-address=127.0.0.1",
        "--secure-port=6443",
        f"--advertise-address={layout.nodes[0].address}",
        "--endpoint-reconciler-type=none",  # nothing routes the Service `kubernetes` here
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--client-ca-file={pki}/ca.crt",
        f"--kubelet-client-certificate={pki}/kubelet-client.crt",
        f"--kubelet-client-key={pki}/kubelet-client.key",
        f"--kubelet-certificate-authority={pki}/ca.crt",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki}/service-accounts.pub",
        f"--service-account-signing-key-file={pki}/service-accounts.key",
        f"--requestheader-client-ca-file={pki}/front-proxy-ca.crt",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={pki}/front-proxy.crt",
        f"--proxy-client-key-file={pki}/front-proxy.key",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--profiling=false",
    ]


def _controller_manager(layout: Layout) -> list[str]:
    pki = layout.certificates
    return [
        *_component(layout, "controller-manager"),
        "--use-service-account-credentials",
        f"--service-account-private-key-file={pki}/service-accounts.key",
        f"--root-ca-file={pki}/ca.crt",
        f"--cluster-signing-cert-file={pki}/ca.crt",
        f"--cluster-signing-key-file={pki}/ca.key",
        f"--flex-volume-plugin-dir={layout.state}/volume-plugins",
        # Its own 20 a second make a run of many small tests wait for the client's throttle.
        "--kube-api-qps=200",
        "--kube-api-burst=400",
    ]


def _component(layout: Layout, user: str) -> list[str]:
    """What the controller manager and the scheduler have in common."""
    kubeconfig = layout.kubeconfig(user)
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--profiling=false",
    ]
