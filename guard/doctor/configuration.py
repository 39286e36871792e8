"""The ConfigMaps that a container reads, as far as they were given. Pure."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from guard.doctor.lookup import ObjectLookup
from guard.doctor.objects.workload import Container, Workload
from guard.doctor.source.tree import dig, mapping, mappings, text


@lru_cache(maxsize=4096)
def configurations(lookup: ObjectLookup, workload: Workload, container: Container) -> Mapping[str, str]:
    """Returns the texts of the ConfigMaps given that a container mounts or reads as variables, by how to name each."""
    body = mapping(workload.object.body, *container.at)
    texts: dict[str, str] = {}
    for mount in container.mounts:
        volume = workload.pod.volumes.get(mount.volume)
        for name in _config_maps(volume.body) if volume else ():
            for key, content in _data(lookup, workload, name).items():
                if isinstance(content, str) and (not mount.sub_path or mount.sub_path == key):
                    texts[f"{key} of ConfigMap {name}"] = content
    for _, source in mappings(body, "envFrom"):
        name = text(source, "configMapRef", "name")
        lines = [f"{key}: {value}" for key, value in _data(lookup, workload, name).items()]
        texts[f"ConfigMap {name}"] = "\n".join(lines)
    for _, entry in mappings(body, "env"):
        reference = mapping(entry, "valueFrom", "configMapKeyRef")
        value = dig(_data(lookup, workload, text(reference, "name")), text(reference, "key"))
        if isinstance(value, str):
            texts[f"ConfigMap {text(reference, 'name')}"] = f"{text(entry, 'name')}: {value}"
    return texts


def _config_maps(volume: Mapping[str, Any]) -> Iterator[str]:
    yield text(volume, "configMap", "name")
    for _, source in mappings(volume, "projected", "sources"):
        yield text(source, "configMap", "name")


def _data(lookup: ObjectLookup, workload: Workload, name: str) -> Mapping[str, object]:
    obj = lookup.find("ConfigMap", workload.object.namespace, name, workload.object.side) if name else None
    return mapping(obj.body, "data") if obj else {}
