"""The cluster's certificate authorities, certificates and kubeconfigs, made with openssl. Nothing is started here."""

from pathlib import Path

from tests.cluster.kubernetes.command import run
from tests.cluster.kubernetes.layout import API_SERVER, API_SERVICE_ADDRESS, Layout, Node

#: Long enough that a kept state is never found expired.
DAYS = "3650"
#: Users of the API server and the names that RBAC and the node authorizer know them by.
USERS = {
    "admin": "/O=system:masters/CN=admin",
    "controller-manager": "/CN=system:kube-controller-manager",
    "scheduler": "/CN=system:kube-scheduler",
}


def make(layout: Layout) -> None:
    """Makes everything that the control plane and the nodes need, once for a state folder."""
    folder = layout.certificates
    if (folder / "complete").exists():
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _authority(folder, "ca")
    # The aggregation layer's own: without it the controller manager and the scheduler log an error every few seconds.
    _authority(folder, "front-proxy-ca")
    _certificate(folder, "front-proxy", "/CN=front-proxy-client", authority="front-proxy-ca")
    run("openssl", "genrsa", "-out", folder / "service-accounts.key", "2048")
    run("openssl", "rsa", "-in", folder / "service-accounts.key", "-pubout", "-out", folder / "service-accounts.pub")
    names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    addresses = ["127.0.0.1", API_SERVICE_ADDRESS, *(node.address for node in layout.nodes)]
    _certificate(folder, "apiserver", "/CN=kube-apiserver", serves=_alternative_names(names, addresses))
    _certificate(folder, "kubelet-client", "/O=system:masters/CN=kube-apiserver-kubelet-client")
    for user, subject in USERS.items():
        _certificate(folder, user, subject)
        _kubeconfig(layout, user)
    for node in layout.nodes:
        _node(layout, node)
    (folder / "complete").touch()


def _node(layout: Layout, node: Node) -> None:
    """A kubelet is a client of the API server, and a server that the API server calls for logs and exec."""
    subject = f"/O=system:nodes/CN=system:node:{node.name}"
    _certificate(layout.certificates, node.name, subject)
    serves = _alternative_names([node.name], [node.address])
    _certificate(layout.certificates, f"{node.name}-server", subject, serves=serves)
    _kubeconfig(layout, node.name)


def _alternative_names(names: list[str], addresses: list[str]) -> str:
    return ",".join([*(f"DNS:{name}" for name in names), *(f"IP:{address}" for address in addresses)])


def _key(path: Path) -> None:
    run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path)


def _authority(folder: Path, name: str) -> None:
    _key(folder / f"{name}.key")
    run(
        "openssl", "req", "-x509", "-new", "-key", folder / f"{name}.key", "-out", folder / f"{name}.crt",
        "-subj", f"/CN={name}", "-days", DAYS,
        "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
    )  # fmt: skip


def _certificate(folder: Path, name: str, subject: str, serves: str = "", authority: str = "ca") -> None:
    """A client's certificate, or, with the names it serves under, a server's."""
    extensions = ["basicConstraints=CA:FALSE", "keyUsage=digitalSignature,keyEncipherment"]
    if serves:
        extensions += ["extendedKeyUsage=serverAuth", f"subjectAltName={serves}"]
    else:
        extensions += ["extendedKeyUsage=clientAuth"]
    extension_file, request = folder / f"{name}.ext", folder / f"{name}.csr"
    extension_file.write_text("\n".join(extensions))
    _key(folder / f"{name}.key")
    run("openssl", "req", "-new", "-key", folder / f"{name}.key", "-subj", subject, "-out", request)
    run(
        "openssl", "x509", "-req", "-in", request, "-out", folder / f"{name}.crt",
        "-CA", folder / f"{authority}.crt", "-CAkey", folder / f"{authority}.key", "-CAcreateserial",
        "-days", DAYS, "-extfile", extension_file,
    )  # fmt: skip
    extension_file.unlink()
    request.unlink()


def _kubeconfig(layout: Layout, user: str) -> None:
    folder = layout.certificates
    path = layout.kubeconfig(user)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text(
        f"""\
apiVersion: v1
kind: Config
clusters:
  - name: tests
    cluster: {{server: "{API_SERVER}", certificate-authority: "{folder}/ca.crt"}}
users:
  - name: {user}
    user: {{client-certificate: "{folder}/{user}.crt", client-key: "{folder}/{user}.key"}}
contexts:
  - name: tests
    context: {{cluster: tests, user: {user}}}
current-context: tests
"""
    )
