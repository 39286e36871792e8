"""Where an application keeps its data: by variables, arguments and configuration that mean it, or seem to. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain

from guard.doctor.objects.names import shared, word_set
from guard.doctor.objects.paths import clean_path, covers
from guard.doctor.objects.workload import Container, Workload

_NAME_WORDS = re.compile(r"[A-Z]+")
#: Words of a variable that mean "lasting data", and words that mean "a place".
_DATA = word_set(
    "STORAGE DATA DATABASE DB SQLITE UPLOAD UPLOADS SKILLS PERSIST PERSISTENT PERSISTENCE STATE MEDIA VOLUME "
    "WORKSPACE STORE REPO PGDATA DATADIR"
)
_PLACE = word_set("PATH DIR DIRECTORY ROOT HOME FOLDER LOCATION FILE URL URI PGDATA DATADIR")
#: Words for a folder on a disk: nobody calls a part of a URL so.
_FOLDER = word_set("DIR DIRECTORY FOLDER HOME PGDATA DATADIR")
#: Words for a part of a URL, and for what a program reads and never writes.
_ROUTE = word_set("API ROUTE ROUTES ENDPOINT ENDPOINTS PREFIX CONTEXT")
_CONFIGURATION = word_set("CONFIG CONF CONFIGURATION")
#: Words for what an image brings, and for what may be lost: neither is kept on the volume.
_NOT_KEPT = word_set(
    "SEED SEEDS BUILTIN DEFAULT DEFAULTS BUNDLED TEMPLATE TEMPLATES EXAMPLE EXAMPLES MIGRATION MIGRATIONS STATIC "
    "CACHE TMP TEMP BACKUP BACKUPS"
)
_CONFIGURATION_FILE = re.compile(
    r".*(?:/conf(?:ig)?/[^/]+\.\w+|\.(?:ya?ml|toml|ini|conf|cfg|properties|env|xml|pem|crt|key))"
)
#: With PATH, a folder or what comes before every URL (ROOT_PATH, BASE_PATH): both are possible.
_AMBIGUOUS = word_set("ROOT BASE")
#: `sqlite:////data/app.db` and `file:///data` name a path too; three slashes and a word are relative.
_PATH_VALUE = re.compile(r"(?:sqlite[+a-z]*:///|file:(?://)?)?(/[^?\s:;,]*)")
#: Where a program's own or passing things lie.
_SYSTEM = word_set(
    "/tmp /var/tmp /var/log /var/cache /var/run /run /dev /proc /sys /etc /usr /bin /sbin /lib"  # noqa: S108 - compared, never written to
)


@dataclass(frozen=True, slots=True)
class PathSetting:
    """An absolute path that a container is given."""

    container: Container
    name: str  # the variable
    text: str  # its value as written
    path: str  # the path in it

    def __str__(self) -> str:
        return f"{self.name}={self.path} in container {self.container.name}"

    @property
    def _words(self) -> frozenset[str]:
        return frozenset(_NAME_WORDS.findall(self.name.upper()))

    @property
    def is_for_data(self) -> bool:
        """Whether it names a place for data: not a part of a URL, a file of settings, what an image brings, or scratch."""
        words = self._words
        if not words & _DATA or not words & _PLACE or words & (_CONFIGURATION | _NOT_KEPT):
            return False
        if _CONFIGURATION_FILE.fullmatch(self.path):
            return False
        is_plain = self.text.startswith("/")  # without `file:` or `sqlite:`, which only a path can have
        return not is_plain or bool(words & _FOLDER) or not words & (_ROUTE | {"URL", "URI"})

    @property
    def is_about_claim(self) -> bool:
        """Whether it is for data and shares a telling word with the claim that its container mounts."""
        words = self._words
        if not self.is_for_data or ("PATH" in words and words & _AMBIGUOUS and not words & _FOLDER):
            return False
        mounts = self.container.claim_mounts
        return any(shared(self.name, mount.volume_name, mount.path, mount.claim_name) for mount in mounts)


#: Flags, and keys of configuration files, that set where a program keeps its data; compared without dashes, dots and case.
_SETTINGS = word_set(
    "datadir datadirectory datapath datafolder dbpath dbdir databasedir databasepath databasefile storagetsdbpath "
    "storagepath storagedir storagedatapath storagelocalpath storedir storepath pathdata statedir persistencedir "
    "persistencelocation logdirs rocksdbpath boltpath enginepath sqlitepath appdatapath chunksdirectory "
    "datalogdir commonpathprefix "
    "blocksstoragefilesystemdir tsdbpath"
)
#: Variables of known programs that do the same.
_VARIABLES = word_set(
    "PGDATA GF_PATHS_DATA DATA_FOLDER NEXTCLOUD_DATA_DIR INFLUXD_BOLT_PATH INFLUXD_ENGINE_PATH INFLUXDB_DATA_DIR "
    "INFLUXDB3_DB_DIR JENKINS_HOME N8N_USER_FOLDER GITEA_WORK_DIR FORGEJO_WORK_DIR ETCD_DATA_DIR MEILI_DB_PATH "
    "QDRANT__STORAGE__STORAGE_PATH PERSISTENCE_DATA_PATH RABBITMQ_MNESIA_BASE RABBITMQ_MNESIA_DIR "
    "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY POSTGRESQL_DATA_DIR POSTGRESQL_VOLUME_DIR MYSQL_DATA_DIR "
    "MARIADB_DATA_DIR MONGODB_DATA_DIR KAFKA_LOG_DIRS KAFKA_CFG_LOG_DIRS MINIO_VOLUMES MINIO_DATA_DIR SQLITE_PATH "
    "UPLOAD_LOCATION MATTERMOST_DATA_DIR TYPESENSE_DATA_DIR MB_DB_FILE ND_DATAFOLDER path.data"
)
#: Flags that mean it in one program alone.
_LETTERS = {
    **dict.fromkeys(("postgres", "postgis", "pg_ctl", "initdb"), "-D"),
    **dict.fromkeys(("redis", "redis-server", "valkey-server"), "--dir"),
    **dict.fromkeys(("nats", "nats-server"), "-sd"),
    **dict.fromkeys(("gitea", "forgejo"), "--work-path"),
    "cockroach": "--store",
    "clickhouse-server": "--path",
}
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
_CACHES = word_set("store compact query sidecar")
#: Where nothing is meant to last, or the image's own files are.
_NO_DATA = word_set(
    "/var/log /var/cache /var/run /run /dev /proc /sys /etc /usr/bin /usr/lib /usr/sbin /bin /sbin /lib"
)


@dataclass(frozen=True, slots=True)
class DataPath:
    """A path at which a container keeps its data."""

    path: str
    source: str  # what names it: `--data-dir=/data`, `PGDATA=/data`
    field: str  # the container's field in which that is written: `env`, `args`; empty for a ConfigMap
    is_quoted: bool = False  # whether quotes are part of the value: no shell removes them, and the path is another one


def path_settings(workload: Workload) -> Iterator[PathSetting]:
    """Yields the absolute paths in the variables of a workload's application containers, but those of the system."""
    for container in workload.applications:
        for name, value in container.env.items():
            match = _PATH_VALUE.fullmatch(value)
            if not match or name.startswith("GUARD_"):
                continue
            path = clean_path(match[1])
            if path != "/" and not any(covers(system, path) for system in _SYSTEM):
                yield PathSetting(container, name, value, path)


def set_paths(container: Container, configurations: Mapping[str, str]) -> tuple[DataPath, ...]:
    """The data paths that a container has by settings which mean nothing else.

    Args:
        container: The container.
        configurations: The texts of its ConfigMaps, by what to call each: `data_dir of ConfigMap loki`.
    """
    found = (*_by_variables(container), *_by_words(container), *_by_files(configurations))
    plain = ((one.path.strip("\"'").partition(",")[0], one) for one in found)
    usable = (replace(one, path=clean_path(path), is_quoted=one.path[:1] in {'"', "'"}) for path, one in plain)
    return tuple({one.path: one for one in usable if _is_usable(one.path)}.values())


def _is_usable(path: str) -> bool:
    """Whether it is an absolute path that could hold data; what holds a variable is not known."""
    return (
        path.startswith("/")
        and path != "/"
        and not set("${*") & set(path)
        and not any(covers(one, path) for one in _NO_DATA)
    )


def _by_variables(container: Container) -> Iterator[DataPath]:
    for name, value in container.env.items():
        if name in _VARIABLES:
            yield DataPath(value, f"{name}={value}", "env")


def _by_words(container: Container) -> Iterator[DataPath]:
    if "thanos" in container.image and not _CACHES.isdisjoint(container.words):
        return
    filled = (_with_variables(word, container.env) for word in container.words)
    # Only what has a space is a script: its quotes are the shell's.
    pieces = ((word.replace('"', "").replace("'", "").split() if re.search(r"\s", word) else [word]) for word in filled)
    words = list(chain.from_iterable(pieces))
    for index, word in enumerate(words):
        following = words[index + 1] if index + 1 < len(words) else ""
        name, _, value = word.partition("=")
        if word in {"-c", "-E"}:  # postgres -c data_directory=/data, elasticsearch -E path.data=/data
            name, _, value = following.partition("=")
            name = f"--{name}" if value else ""
        elif word.startswith(("-E", "-D")) and value:  # -Epath.data=/data, java -Ddata.dir=/data
            name = f"--{name[2:]}"
        value = (value or following).removeprefix("path=")  # cockroach --store=path=/data
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
