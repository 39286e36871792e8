"""Where an application is told to keep its data: absolute paths in its variables. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from guard.doctor.objects.names import shared, word_set
from guard.doctor.objects.paths import clean_path, covers
from guard.doctor.objects.workload import Container, Workload

_NAME_WORDS = re.compile(r"[A-Z]+")
#: Words of a variable that say "lasting data", and words that say "a place".
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
#: With PATH, a folder or what stands before every URL (ROOT_PATH, BASE_PATH): not to be told from here.
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
