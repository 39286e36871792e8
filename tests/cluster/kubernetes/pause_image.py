"""Packs one static binary as an image archive: the container that holds a pod's namespaces. No registry is asked."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

from tests.cluster.kubernetes.command import run
from tests.cluster.kubernetes.layout import PAUSE_IMAGE


def write_archive(binary: Path, archive: Path) -> None:
    """Writes an archive in docker's format: a layer, a configuration and a manifest."""
    layer = _tar({"pause": binary.read_bytes()}, mode=0o755)
    configuration = json.dumps(
        {
            "architecture": run("go", "env", "GOARCH").strip(),
            "os": "linux",
            "config": {"Entrypoint": ["/pause"], "User": "65535:65535"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
    ).encode()
    name = f"{hashlib.sha256(configuration).hexdigest()}.json"
    manifest = json.dumps([{"Config": name, "RepoTags": [PAUSE_IMAGE], "Layers": ["layer.tar"]}]).encode()
    archive.write_bytes(_tar({"layer.tar": layer, name: configuration, "manifest.json": manifest}, mode=0o644))


def _tar(files: dict[str, bytes], mode: int) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), mode
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()
