"""Data paths: where a container keeps its data by its own variables, arguments and given configuration. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from guard.doctor.objects.workload import Container, clean_path, covers

#: Flags, and keys of configuration files, that set where a program keeps its data; compared without dashes, dots and case.
_SETTINGS = frozenset({
    "datadir", "datadirectory", "datapath", "datafolder", "dbpath", "dbdir", "databasedir", "databasepath", "databasefile",
    "storagetsdbpath", "storagepath", "storagedir", "storagedatapath", "storagelocalpath", "storedir", "storepath",
    "pathdata", "statedir", "persistencedir", "persistencelocation", "logdirs", "rocksdbpath", "boltpath", "enginepath",
    "sqlitepath", "appdatapath", "chunksdirectory", "datalogdir", "commonpathprefix", "blocksstoragefilesystemdir", "tsdbpath",
})  # fmt: skip
#: Variables of known programs that do the same.
_VARIABLES = frozenset({
    "PGDATA", "GF_PATHS_DATA", "DATA_FOLDER", "NEXTCLOUD_DATA_DIR", "INFLUXD_BOLT_PATH", "INFLUXD_ENGINE_PATH",
    "INFLUXDB_DATA_DIR", "INFLUXDB3_DB_DIR", "JENKINS_HOME", "N8N_USER_FOLDER", "GITEA_WORK_DIR", "FORGEJO_WORK_DIR",
    "ETCD_DATA_DIR", "MEILI_DB_PATH", "QDRANT__STORAGE__STORAGE_PATH", "PERSISTENCE_DATA_PATH", "RABBITMQ_MNESIA_BASE",
    "RABBITMQ_MNESIA_DIR", "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "POSTGRESQL_DATA_DIR", "POSTGRESQL_VOLUME_DIR",
    "MYSQL_DATA_DIR", "MARIADB_DATA_DIR", "MONGODB_DATA_DIR", "KAFKA_LOG_DIRS", "KAFKA_CFG_LOG_DIRS", "MINIO_VOLUMES",
    "MINIO_DATA_DIR", "SQLITE_PATH", "UPLOAD_LOCATION", "MATTERMOST_DATA_DIR", "TYPESENSE_DATA_DIR", "MB_DB_FILE", "ND_DATAFOLDER",
    "path.data",
})  # fmt: skip
#: Flags that mean it in one program alone.
_LETTERS = {
    "postgres": "-D", "postgis": "-D", "pg_ctl": "-D", "initdb": "-D", "redis": "--dir", "redis-server": "--dir", "valkey-server": "--dir",
    "nats": "-sd", "nats-server": "-sd", "cockroach": "--store", "clickhouse-server": "--path",
    "gitea": "--work-path", "forgejo": "--work-path",
}  # fmt: skip
_CONFIGURED = re.compile(
    r"(?:^|[{,])\s*[\"']?([A-Za-z][\w.\-]{1,40})[\"']?\s*[:= ]\s*[\"']?(/[^\s\"',;#]+)", re.MULTILINE
)
#: Files in which a plain word sets it: those of Grafana, Redis and Loki.
_PLAIN_WORDS = {
    "path_prefix": re.compile(r"^(?:schema_config|ingester|common):", re.MULTILINE),
    "data": re.compile(r"^\[paths\]", re.MULTILINE),
    "dir": re.compile(r"^(?:appendonly|save) ", re.MULTILINE),
    "directory": re.compile(r"^\s*(?:- )?object_store: filesystem", re.MULTILINE),
}
#: Characters of a configuration that are read.
_LONGEST = 64 * 1024
_VARIABLE = re.compile(r"\$[({]?(\w+)[)}]?")
#: Variables of a word that are filled in.
_MOST = 64
#: Subcommands of thanos whose folder is a cache that they fill again, or another program's.
_CACHES = frozenset({"store", "compact", "query", "sidecar"})
#: Where nothing is meant to last, or the image's own files are.
_SYSTEM = (
    "/var/log", "/var/cache", "/var/run", "/run", "/dev", "/proc", "/sys", "/etc", "/usr/bin", "/usr/lib", "/usr/sbin",
    "/bin", "/sbin", "/lib",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DataPath:
    """A path at which a container keeps its data.

    Attributes:
        path: The path.
        source: What names it: `--data-dir=/data`, `PGDATA=/data`.
        field: The container's field in which that is written: `env`, `args`; empty for a ConfigMap.
    """

    path: str
    source: str
    field: str


def set_paths(container: Container, configurations: Mapping[str, str]) -> tuple[DataPath, ...]:
    """The data paths that a container has by settings which mean nothing else.

    Args:
        container: The container.
        configurations: The texts of its ConfigMaps, by what to call each: `data_dir of ConfigMap loki`.
    """
    found = (*_by_variables(container), *_by_words(container), *_by_files(configurations))
    usable = (DataPath(clean_path(one.path.partition(",")[0]), one.source, one.field) for one in found)
    return tuple({one.path: one for one in usable if _is_usable(one.path)}.values())


def _is_usable(path: str) -> bool:
    """Whether it is an absolute path that could hold data; what holds a variable is not known."""
    return (
        path.startswith("/")
        and path != "/"
        and not set("${*") & set(path)
        and not any(covers(one, path) for one in _SYSTEM)
    )


def _by_variables(container: Container) -> Iterator[DataPath]:
    for name, value in container.env.items():
        if name in _VARIABLES:
            yield DataPath(value, f"{name}={value}", "env")


def _by_words(container: Container) -> Iterator[DataPath]:
    if "thanos" in container.image and not _CACHES.isdisjoint(container.words):
        return
    filled = (_with_variables(word, container.env) for word in container.words)
    words = [piece for word in filled for piece in (word.split() if re.search(r"\s", word) else [word])]
    for index, word in enumerate(words):
        following = words[index + 1].strip("\"'") if index + 1 < len(words) else ""
        name, _, value = word.partition("=")
        if word in {"-c", "-E"}:  # postgres -c data_directory=/data, elasticsearch -E path.data=/data
            name, _, value = following.partition("=")
            name = f"--{name}" if value else ""
        elif word.startswith(("-E", "-D")) and value:  # -Epath.data=/data, java -Ddata.dir=/data
            name = f"--{name[2:]}"
        value = (value.strip("\"'") or following).removeprefix("path=")  # cockroach --store=path=/data
        before = {one.rpartition("/")[2] for one in (container.image.partition(":")[0], *words[:index])}
        if name.startswith("-") and (_plain(name) in _SETTINGS or _is_letter(name, before)):
            yield DataPath(value, f"{name}={value}", "args")
        elif word == "server" and "minio" in before:
            yield DataPath(following, f"minio server {following}", "args")


def _with_variables(word: str, env: Mapping[str, str]) -> str:
    """A word with `$(X)`, as the kubelet fills it in, and `$X` and `${X}`, as a shell does; what is not known stays."""
    if len(word) > _LONGEST or word.count("$") > _MOST:
        return word
    return _VARIABLE.sub(lambda match: env.get(match[1], "") or match[0], word)


def _is_letter(flag: str, before: set[str]) -> bool:
    """Whether a short flag is the data folder's: `postgres -D /data`, `redis-server --dir /data`."""
    return any(flag == _LETTERS.get(program) for program in before)


def _plain(name: str) -> str:
    return re.sub(r"[-._]", "", name).lower()


def _by_files(configurations: Mapping[str, str]) -> Iterator[DataPath]:
    for name, content in configurations.items():
        for key, path in _CONFIGURED.findall(content[:_LONGEST]):
            sign = _PLAIN_WORDS.get(key)
            if key in _VARIABLES or _plain(key) in _SETTINGS or (sign and sign.search(content)):
                yield DataPath(path, f"{key} in {name}", "")
