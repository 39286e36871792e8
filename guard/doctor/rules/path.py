"""VG104 and VG105: the application's own idea of where its data lies, against its mounts. Pure."""

import re
from collections.abc import Iterator

from guard.doctor.inventory import Inventory, applications
from guard.doctor.kube import Container, Workload, clean_path, covers
from guard.doctor.rule import Finding, Rule, Severity, Verdict
from guard.doctor.rules.words import shared

ENVIRONMENT_PATH = Rule(
    "VG104", "environment-path-not-covered", Severity.ERROR,
    "A variable tells the application to keep its data where no volume is mounted.",
    "The application follows its variable, not the mount: the volume stays empty and the data dies with the container. "
    'The most frequent cause of volumes that "reset".',
    "Make the variable and the mountPath equal: change one of the two.",
    "https://kubernetes.io/docs/tasks/configure-pod-container/configure-persistent-volume-storage/",
)  # fmt: skip
DATA_PATH = Rule(
    "VG105", "data-path-outside-mounts", Severity.WARNING,
    "A container mounts a claim, but a variable names another path for data, which no volume covers.",
    "If the application writes there what should last, it is lost with the container.",
    "Mount the claim at that path, or point the variable below the mount. Only scratch: ignore it by annotation.",
    "https://kubernetes.io/docs/tasks/configure-pod-container/configure-persistent-volume-storage/",
)  # fmt: skip

_NAME_WORDS = re.compile(r"[A-Z]+")
#: Words of a variable that say "lasting data", and words that say "a place".
_DATA = frozenset({
    "STORAGE", "DATA", "DATABASE", "DB", "SQLITE", "UPLOAD", "UPLOADS", "SKILLS", "PERSIST", "PERSISTENT",
    "PERSISTENCE", "STATE", "MEDIA", "VOLUME", "WORKSPACE", "STORE", "REPO", "PGDATA", "DATADIR",
})  # fmt: skip
_PLACE = frozenset({
    "PATH", "DIR", "DIRECTORY", "ROOT", "HOME", "FOLDER", "LOCATION", "FILE", "URL", "URI", "PGDATA", "DATADIR",
})  # fmt: skip
#: Words for a folder on a disk: nobody calls a part of a URL so.
_FOLDER = frozenset({"DIR", "DIRECTORY", "FOLDER", "HOME", "PGDATA", "DATADIR"})
#: Words for a part of a URL, and for what a program reads and never writes.
_ROUTE = frozenset({"API", "ROUTE", "ROUTES", "ENDPOINT", "ENDPOINTS", "PREFIX", "CONTEXT"})
_CONFIGURATION = frozenset({"CONFIG", "CONF", "CONFIGURATION"})
#: Words for what an image brings, and for what may be lost: neither is kept on the volume.
_NOT_KEPT = frozenset({
    "SEED", "SEEDS", "BUILTIN", "DEFAULT", "DEFAULTS", "BUNDLED", "TEMPLATE", "TEMPLATES", "EXAMPLE", "EXAMPLES",
    "MIGRATION", "MIGRATIONS", "STATIC", "CACHE", "TMP", "TEMP", "BACKUP", "BACKUPS",
})  # fmt: skip
_CONFIGURATION_FILE = re.compile(
    r".*(?:/conf(?:ig)?/[^/]+\.\w+|\.(?:ya?ml|toml|ini|conf|cfg|properties|env|xml|pem|crt|key))"
)
#: With PATH, a folder or what stands before every URL (ROOT_PATH, BASE_PATH): not to be told from here.
_AMBIGUOUS = frozenset({"ROOT", "BASE"})
#: `sqlite:////data/app.db` and `file:///data` name a path too; three slashes and a word are relative.
_PATH_VALUE = re.compile(r"(?:sqlite[+a-z]*:///|file:(?://)?)?(/[^?\s:;,]*)")
#: Where a program's own or passing things lie.
_SYSTEM = (
    "/tmp", "/var/tmp",  # noqa: S108 - compared, never written to
    "/var/log", "/var/cache", "/var/run", "/run", "/dev", "/proc", "/sys", "/etc", "/usr", "/bin",
    "/sbin", "/lib",
)  # fmt: skip


def _environment_path(inventory: Inventory) -> Iterator[Verdict]:
    for found, box, name, value in _uncovered(inventory):
        path = inventory.path_of(found)
        if found in inventory.guarded and covers(path, value):
            if not any(app.mount_at(path) for app in applications(found)):
                continue  # volume-not-mounted or mount-path-mismatch says it
            message = f"{name}={value} in container {box.name}, where this container mounts nothing"
        elif _is_about_the_claim(found, box, name, value):
            mount = found.pod.claim_mounts(box)[0]
            message = (
                f"{name}={value} in container {box.name} is covered by no mount; the volume is mounted at {mount.path}"
            )
        else:
            continue
        yield Finding(message, found.kube.place(*box.at, "env"), found.kube)


def _data_path(inventory: Inventory) -> Iterator[Verdict]:
    for found, box, name, value in _uncovered(inventory):
        mounts = found.pod.claim_mounts(box)
        guarded = found in inventory.guarded and covers(inventory.path_of(found), value)
        if (
            mounts
            and not guarded
            and _is_for_data(box, name, value)
            and not _is_about_the_claim(found, box, name, value)
        ):
            message = f"{name}={value} in container {box.name} is covered by no mount; its claim is mounted at {mounts[0].path}"
            yield Finding(message, found.kube.place(*box.at, "env"), found.kube)


def _uncovered(inventory: Inventory) -> Iterator[tuple[Workload, Container, str, str]]:
    """Variables that hold an absolute path of no mount, in every workload's application containers."""
    for found in inventory.workloads:
        for box in applications(found):
            for name, raw in box.env.items():
                match = _PATH_VALUE.fullmatch(raw)
                if not match or name.startswith("GUARD_"):
                    continue
                value = clean_path(match[1])
                if value == "/" or box.mount_at(value) or any(covers(system, value) for system in _SYSTEM):
                    continue
                if not any(covers(value, mount.path) for mount in box.mounts):
                    yield found, box, name, value


def _is_for_data(box: Container, name: str, value: str) -> bool:
    """Whether a variable names a place for data: not a part of a URL, a file of settings, what an image brings, or scratch."""
    words = frozenset(_NAME_WORDS.findall(name.upper()))
    if (
        not words & _DATA
        or not words & _PLACE
        or words & (_CONFIGURATION | _NOT_KEPT)
        or _CONFIGURATION_FILE.fullmatch(value)
    ):
        return False
    is_plain = box.env[name].startswith("/")  # without `file:` or `sqlite:`, which only a path can have
    return not is_plain or bool(words & _FOLDER) or not words & (_ROUTE | {"URL", "URI"})


def _is_about_the_claim(found: Workload, box: Container, name: str, value: str) -> bool:
    """Whether a variable for data shares a telling word with the claim that this container mounts."""
    words = frozenset(_NAME_WORDS.findall(name.upper()))
    if not _is_for_data(box, name, value) or ("PATH" in words and words & _AMBIGUOUS and not words & _FOLDER):
        return False
    about = [(mount.volume, mount.path, found.pod.volumes[mount.volume].claim) for mount in found.pod.claim_mounts(box)]
    return any(shared(name, *names) for names in about)


CHECKS = (
    (ENVIRONMENT_PATH, _environment_path),
    (DATA_PATH, _data_path),
)
