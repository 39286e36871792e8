"""The ConfigMaps that a container reads, as far as they were given. Pure."""

from collections.abc import Mapping
from functools import lru_cache

from guard.doctor.lookup import ObjectLookup
from guard.doctor.objects.configured_paths import DataPath, set_paths
from guard.doctor.objects.workload import Container
from guard.doctor.source.tree import mapping, mappings, text


@lru_cache(maxsize=4096)
def data_paths(lookup: ObjectLookup, container: Container) -> tuple[DataPath, ...]:
    """Returns the data paths that a container has by settings which mean nothing else."""
    return set_paths(container, configurations(lookup, container))


@lru_cache(maxsize=4096)
def configurations(lookup: ObjectLookup, container: Container) -> Mapping[str, str]:
    """Returns the texts of the ConfigMaps given that a container mounts or reads as variables, by how to name each."""
    texts: dict[str, str] = {}
    for mount in container.mounts:
        volume = mount.volume.body if mount.volume else {}
        for source in (volume, *mappings(volume, "projected", "sources")):
            name = text(source, "configMap", "name")
            for key, content in lookup.config_map(container.workload, name).items():
                if isinstance(content, str) and (not mount.sub_path or mount.sub_path == key):
                    texts[f"{key} of ConfigMap {name}"] = content
    for source in mappings(container.body, "envFrom"):
        name = text(source, "configMapRef", "name")
        lines = [f"{key}: {value}" for key, value in lookup.config_map(container.workload, name).items()]
        texts[f"ConfigMap {name}"] = "\n".join(lines)
    for entry in mappings(container.body, "env"):
        reference = mapping(entry, "valueFrom", "configMapKeyRef")
        name = text(reference, "name")
        value = lookup.config_map(container.workload, name).get(text(reference, "key"))
        if isinstance(value, str):
            texts[f"ConfigMap {name}"] = f"{text(entry, 'name')}: {value}"
    return texts
