"""StorageClass `loop`: the real provisioner and attacher, and a driver whose disks attach to one node at a time."""

from tests.cluster.kubernetes.build import Programs
from tests.cluster.kubernetes.command import run
from tests.cluster.kubernetes.layout import CONFIGURATION, Layout
from tests.cluster.kubernetes.processes import Daemon
from tests.cluster.waiting import wait_until

DRIVER = "loop.csi.test"


def start(layout: Layout, programs: Programs) -> None:
    """Starts it and waits until each kubelet has its part of the driver registered."""
    controller = layout.state / "loop-controller.sock"
    driver = (programs.storage / "loopcsi", f"--disks={layout.disks}")
    Daemon("loop-controller", layout).start(*driver, f"--socket={controller}")
    for node in layout.nodes:
        Daemon(f"loop-{node.name}", layout).start(
            *driver,
            f"--node={node.name}",
            f"--socket={node.kubelet}/plugins/loop/csi.sock",
            f"--registration={node.kubelet}/plugins_registry",
        )
    client = (f"--kubeconfig={layout.kubeconfig()}", f"--csi-address={controller}")
    Daemon("csi-provisioner", layout).start(programs.storage / "csi-provisioner", *client, "--default-fstype=ext4")
    Daemon("csi-attacher", layout).start(programs.storage / "csi-attacher", *client)
    kubectl = (programs.kubernetes / "kubectl", "--kubeconfig", layout.kubeconfig())
    run(*kubectl, "apply", "--filename", CONFIGURATION / "storage-class.yaml")
    drivers = (*kubectl, "get", "csinodes", "--output=jsonpath={.items[*].spec.drivers[*].name}")
    wait_until(
        f"driver {DRIVER} on every node (logs: {layout.logs})",
        lambda: run(*drivers).split().count(DRIVER) == len(layout.nodes),
        60,
    )


def stop(layout: Layout) -> None:
    """Ends its processes. The disks stay attached until nobody has them mounted any more: see `machine.clear_disks`."""
    for name in daemons(layout):
        Daemon(name, layout).stop(5)


def daemons(layout: Layout) -> tuple[str, ...]:
    """Its processes' names."""
    return ("csi-attacher", "csi-provisioner", *(f"loop-{node.name}" for node in layout.nodes), "loop-controller")
