"""Where well-known images keep their data. Pure."""

import re
from collections.abc import Mapping

#: Official images with a VOLUME: path, and from which major version on it is another one (0: never).
_IMAGES: Mapping[str, tuple[str, int]] = {
    "postgres": ("/var/lib/postgresql/data", 18),
    "mysql": ("/var/lib/mysql", 0),
    "mariadb": ("/var/lib/mysql", 0),
    "mongo": ("/data/db", 0),
    "redis": ("/data", 0),
    "rabbitmq": ("/var/lib/rabbitmq", 0),
    "wordpress": ("/var/www/html", 0),
    "ghost": ("/var/lib/ghost/content", 0),
    "jenkins": ("/var/jenkins_home", 0),
    "registry": ("/var/lib/registry", 3),
}


def data_folder(image: str) -> str:
    """The data folder of an official image; empty for all others, such as bitnami/mysql, which keeps it elsewhere."""
    folder, _, name = image.partition("@")[0].rpartition("/")
    name, _, tag = name.partition(":")
    if folder.rpartition("/")[2] not in {"", "library"} and f"{folder.rpartition('/')[2]}/{name}" != "jenkins/jenkins":
        return ""
    path, until = _IMAGES.get(name, ("", 0))
    major = re.match(r"[0-9]+", tag)
    if until and (not major or int(major[0]) >= until):
        return ""
    return path
