"""Known images: where popular databases and self-hosted applications keep their data, by image and version. Pure."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Keeps(Enum):
    """Whether an image keeps data of its own wherever it runs."""

    ALWAYS = "always"
    IF_ASKED = "if-asked"  # a cache, or a program that is often run with a database or with files of the image alone


@dataclass(frozen=True, slots=True)
class KnownImage:
    """Where one version of an image keeps its data.

    Attributes:
        name: The last part of the image's name.
        paths: The data folders of the versions that the tag leaves open; one of them is enough.
        keeps: Whether it keeps data wherever it runs.
        is_volume: Whether the image declares `mount` as a VOLUME: what is mounted above it is then hidden.
        mount: Where the volume belongs.
        is_newest: Whether only the missing tag says which version it is.
        has_parts: Whether folders below it can be volumes of their own, without one for the whole: applications made of files.
    """

    name: str
    paths: tuple[str, ...]
    keeps: Keeps
    is_volume: bool
    mount: str
    is_newest: bool
    has_parts: bool


#: Publisher and name (no publisher: Docker's official images), first major version, data folder, whether its mount is a VOLUME,
#: whether it keeps data always, and whether folders of it can be mounted one by one. `path>mount` where the volume belongs above the data folder. Without a tag it is the last
#: version listed, or one of those with a star.
_TABLE = """
postgres                              0 /var/lib/postgresql/data                           volume always
postgres                             18 /var/lib/postgresql/MAJOR/docker>/var/lib/postgresql -     always
postgis/postgis                       0 /var/lib/postgresql/data                           volume always
postgis/postgis                      18 /var/lib/postgresql/MAJOR/docker>/var/lib/postgresql -     always
pgvector/pgvector                     0 /var/lib/postgresql/data                           volume always
pgvector/pgvector                    18 /var/lib/postgresql/MAJOR/docker>/var/lib/postgresql -     always
timescale/timescaledb                 0 /var/lib/postgresql/data                           volume always
timescale/timescaledb-ha              0 /home/postgres/pgdata/data>/home/postgres/pgdata   -      always
citusdata/citus                       0 /var/lib/postgresql/data                           volume always
mysql                                 0 /var/lib/mysql                                     volume always
mysql/mysql-server                    0 /var/lib/mysql                                     volume always
mariadb                               0 /var/lib/mysql                                     volume always
percona                               0 /var/lib/mysql                                     volume always
percona/percona-server                0 /var/lib/mysql                                     volume always
mongo                                 0 /data/db                                           volume always
mongodb/mongodb-community-server      0 /data/db                                           -      always
redis                                 0 /data                                              volume if-asked
valkey/valkey                         0 /data                                              volume if-asked
redis/redis-stack-server              0 /data                                              -      if-asked
redis/redis-stack                     0 /data                                              -      if-asked
eqalpha/keydb                         0 /data                                              volume if-asked
rabbitmq                              0 /var/lib/rabbitmq                                  volume always parts
influxdb                              0 /var/lib/influxdb                                  volume always
influxdb                             2* /var/lib/influxdb2                                 volume always
influxdb                             3* /var/lib/influxdb3                                 -      always
elasticsearch                         0 /usr/share/elasticsearch/data                      -      always
elasticsearch/elasticsearch           0 /usr/share/elasticsearch/data                      -      always
opensearchproject/opensearch          0 /usr/share/opensearch/data                         -      always
solr                                  0 /var/solr                                          volume always parts
couchdb                               0 /opt/couchdb/data                                  volume always
couchbase                             0 /opt/couchbase/var                                 volume always parts
cassandra                             0 /var/lib/cassandra                                 volume always parts
scylladb/scylla                       0 /var/lib/scylla                                    volume always parts
clickhouse/clickhouse-server          0 /var/lib/clickhouse                                volume always parts
yandex/clickhouse-server              0 /var/lib/clickhouse                                volume always parts
clickhouse                            0 /var/lib/clickhouse                                volume always parts
neo4j                                 0 /data                                              volume always parts
arangodb                              0 /var/lib/arangodb3                                 volume always
arangodb/arangodb                     0 /var/lib/arangodb3                                 volume always
cockroachdb/cockroach                 0 /cockroach/cockroach-data                          -      always
rethinkdb                             0 /data                                              volume always
zookeeper                             0 /data                                              volume always
apache/kafka                          0 /tmp/kraft-combined-logs                           -      if-asked
confluentinc/cp-kafka                 0 /var/lib/kafka/data                                volume always
confluentinc/cp-enterprise-kafka      0 /var/lib/kafka/data                                volume always
confluentinc/cp-server                0 /var/lib/kafka/data                                volume always
confluentinc/cp-zookeeper             0 /var/lib/zookeeper/data                            volume always
google-samples/cassandra              0 /cassandra_data                                    -      always
itzg/minecraft-server                 0 /data                                              volume always
qdrant/qdrant                         0 /qdrant/storage                                    -      always
getmeili/meilisearch                  0 /meili_data                                        -      always
semitechnologies/weaviate             0 /var/lib/weaviate                                  -      if-asked
milvusdb/milvus                       0 /var/lib/milvus                                    -      always
victoriametrics/victoria-metrics      0 /victoria-metrics-data                             -      always
prom/prometheus                       0 /prometheus                                        volume if-asked
prometheus/prometheus                 0 /prometheus                                        volume if-asked
questdb/questdb                       0 /var/lib/questdb                                   -      always parts
minio/minio                           0 /data                                              volume if-asked parts
grafana/grafana                       0 /var/lib/grafana                                   -      always
grafana/grafana-oss                   0 /var/lib/grafana                                   -      always
grafana/grafana-enterprise            0 /var/lib/grafana                                   -      always
nextcloud                             0 /var/www/html                                      volume always parts
owncloud/server                       0 /mnt/data                                          volume always parts
vaultwarden/server                    0 /data                                              volume always
bitwardenrs/server                    0 /data                                              volume always
dani-garcia/vaultwarden               0 /data                                              volume always
gitea/gitea                           0 /data                                              volume always parts
gitea/gitea-rootless                  0 /var/lib/gitea                                     volume always parts
forgejo/forgejo                       0 /data                                              volume always parts
forgejo/forgejo-rootless              0 /var/lib/gitea                                     volume always parts
gogs/gogs                             0 /data                                              volume always parts
gitlab/gitlab-ce                      0 /var/opt/gitlab                                    volume always parts
gitlab/gitlab-ee                      0 /var/opt/gitlab                                    volume always parts
wordpress                             0 /var/www/html                                      volume always parts
ghost                                 0 /var/lib/ghost/content                             volume always parts
joomla                                0 /var/www/html                                      volume always parts
mssql/server                          0 /var/opt/mssql                                     -      always
gvenzl/oracle-xe                      0 /opt/oracle/oradata                                -      always
gvenzl/oracle-free                    0 /opt/oracle/oradata                                -      always
yugabytedb/yugabyte                   0 /home/yugabyte/yb_data                             -      if-asked
dgraph/dgraph                         0 /dgraph                                            -      always
emqx/emqx                             0 /opt/emqx/data                                     volume always
supabase/postgres                     0 /var/lib/postgresql/data                           volume always
immich-app/postgres                   0 /var/lib/postgresql/data                           volume always
tensorchord/pgvecto-rs                0 /var/lib/postgresql/data                           volume always
ankane/pgvector                       0 /var/lib/postgresql/data                           volume always
matomo                                0 /var/www/html                                      volume if-asked parts
odoo                                  0 /var/lib/odoo                                      volume always parts
jenkins/jenkins                       0 /var/jenkins_home                                  volume always parts
jenkinsci/blueocean                   0 /var/jenkins_home                                  volume always parts
sonatype/nexus3                       0 /nexus-data                                        volume always
sonarqube                             0 /opt/sonarqube/data                                -      if-asked parts
registry                              0 /var/lib/registry                                  volume if-asked parts
registry                              3 /var/lib/registry                                  -      if-asked parts
verdaccio/verdaccio                   0 /verdaccio/storage                                 volume always
mattermost/mattermost-team-edition    0 /mattermost/data                                   volume if-asked parts
matrixdotorg/synapse                  0 /data                                              volume always
home-assistant/home-assistant         0 /config                                            -      always parts
homeassistant/home-assistant          0 /config                                            -      always parts
nodered/node-red                      0 /data                                              volume always
eclipse-mosquitto                     0 /mosquitto/data                                    volume if-asked
n8nio/n8n                             0 /home/node/.n8n                                    -      always
louislam/uptime-kuma                  0 /app/data                                          volume always
portainer/portainer-ce                0 /data                                              volume always
jellyfin/jellyfin                     0 /config                                            volume always parts
plexinc/pms-docker                    0 /config                                            volume always parts
paperless-ngx/paperless-ngx           0 /usr/src/paperless/data                            volume always parts
photoprism/photoprism                 0 /photoprism/storage                                -      always parts
freshrss/freshrss                     0 /var/www/FreshRSS/data                             -      always parts
pihole/pihole                         0 /etc/pihole                                        -      always
adguard/adguardhome                   0 /opt/adguardhome/work                              volume always
open-webui/open-webui                 0 /app/backend/data                                  -      always parts
actualbudget/actual-server            0 /data                                              -      always
datalust/seq                          0 /data                                              volume always
mealie-recipes/mealie                 0 /app/data                                          volume always
sissbruecker/linkding                 0 /etc/linkding/data                                 -      always
neosmemo/memos                        0 /var/opt/memos                                     volume always
hashicorp/consul                      0 /consul/data                                       volume if-asked
chromadb/chroma                       0 /chroma/chroma                                     -      always
chromadb/chroma                       1 /data                                              -      always
bitnami/postgresql                    0 /bitnami/postgresql/data>/bitnami/postgresql       volume always
bitnami/postgresql-repmgr             0 /bitnami/postgresql/data>/bitnami/postgresql       -      always
bitnami/mysql                         0 /bitnami/mysql/data>/bitnami/mysql                 -      always
bitnami/mariadb                       0 /bitnami/mariadb/data>/bitnami/mariadb             -      always
bitnami/mariadb-galera                0 /bitnami/mariadb/data>/bitnami/mariadb             -      always
bitnami/mongodb                       0 /bitnami/mongodb/data/db>/bitnami/mongodb          -      always
bitnami/redis                         0 /bitnami/redis/data                                -      if-asked
bitnami/valkey                        0 /bitnami/valkey/data                               -      if-asked
bitnami/etcd                          0 /bitnami/etcd/data>/bitnami/etcd                   -      always
bitnami/elasticsearch                 0 /bitnami/elasticsearch/data                        -      if-asked
bitnami/kafka                         0 /bitnami/kafka/data>/bitnami/kafka                 -      if-asked
bitnami/influxdb                      0 /bitnami/influxdb                                  -      always
bitnami/minio                         0 /bitnami/minio/data                                -      if-asked
bitnami/wordpress                     0 /bitnami/wordpress                                 volume always parts
bitnami/wordpress                     5 /bitnami/wordpress                                 -      always parts
bitnami/ghost                         0 /bitnami/ghost                                     -      always parts
bitnami/grafana                       0 /opt/bitnami/grafana/data                          -      always
"""
#: Publishers under whose name the same images were moved or built again.
_SAME_PUBLISHER = {"bitnamilegacy": "bitnami", "bitnamisecure": "bitnami", "library": ""}
#: Registries in which anybody can have an account: the publisher is part of the name there. Elsewhere the last name is enough.
_PUBLIC = frozenset({
    "", "docker.io", "index.docker.io", "registry-1.docker.io", "quay.io", "ghcr.io", "gcr.io", "public.ecr.aws", "lscr.io",
    "codeberg.org", "registry.gitlab.com", "mcr.microsoft.com",
})  # fmt: skip
#: Last names that say no program.
_SAY_NOTHING = frozenset({"server", "chroma"})
_MIRRORS = re.compile(r"docker|hub|mirror|proxy|cache|library|official")
#: Tags of the newest version: none, `latest`, and those that name only the system of the image.
_NEWEST = re.compile(r"|latest|(?:alpine|bookworm|bullseye|trixie|jammy|noble|focal|slim)[\w.-]*")
#: `postgresql-15-c9s`, `mariadb-105`: the version is part of the name.
_RED_HAT = re.compile(r"(postgresql|mysql|mariadb|mongodb)-\d+(?:-(?:c\d+s|(?:centos|rhel|ubi)\d+|fedora))?")
_RED_HAT_DATA = {
    "postgresql": "/var/lib/pgsql/data", "mysql": "/var/lib/mysql/data", "mariadb": "/var/lib/mysql/data",
    "mongodb": "/var/lib/mongodb/data",
}  # fmt: skip
_MAJOR = re.compile(r"(?:.*pg|v?)(\d{1,4})(?![0-9a-f]{5})")


@dataclass(frozen=True, slots=True)
class _Row:
    since: int
    is_latest: bool
    path: str
    mount: str
    is_volume: bool
    keeps: Keeps
    has_parts: bool


def _rows() -> Mapping[tuple[str, str], tuple[_Row, ...]]:
    rows: dict[tuple[str, str], list[_Row]] = defaultdict(list)
    for line in _TABLE.strip().splitlines():
        image, since, place, volume, keeps, *parts = line.split()
        publisher, _, name = image.rpartition("/")
        path, _, mount = place.partition(">")
        starred = since.endswith("*")
        row = _Row(int(since.rstrip("*")), starred, path, mount or path, volume == "volume", Keeps(keeps), bool(parts))
        rows[publisher, name].append(row)
    return {key: tuple(found) for key, found in rows.items()}


_ROWS = _rows()
#: By the last name alone; bitnami's are no mirrors of others.
_BY_NAME = {key[1]: key for key in _ROWS if key[0] != "bitnami" and key[1] not in _SAY_NOTHING}


def known_image(image: str) -> KnownImage | None:
    """What is known of an image, also from a mirror or without a tag; None for all others."""
    reference, _, digest = image.partition("@")
    folder, _, last = reference.rpartition("/")
    name, _, tag = last.partition(":")
    if "rootless" in tag:
        name += "-rootless"
    if name.startswith("mirrored-"):  # Rancher's: mirrored-grafana-grafana, mirrored-library-redis
        publisher, _, name = name.removeprefix("mirrored-").partition("-")
        folder += f"/{publisher}"
    key = _key(folder, name)
    if key is None:
        return _of_family(folder, name)
    rows = _ROWS[key]
    major = _MAJOR.match(tag)
    if major:
        rows = tuple(row for row in rows if row.since <= int(major[1]))[-1:]
    elif _NEWEST.fullmatch(tag) and not (digest and not tag):
        rows = tuple(row for row in rows if row.is_latest) or rows[-1:]
    newest = rows[-1]
    paths = tuple(row.path.replace("MAJOR", major[1] if major else str(row.since)) for row in rows)
    is_newest = not major and len(rows) < len(_ROWS[key])
    return KnownImage(
        name, paths, newest.keeps, all(row.is_volume for row in rows), newest.mount, is_newest, newest.has_parts
    )


def _key(folder: str, name: str) -> tuple[str, str] | None:
    parts = folder.split("/") if folder else []
    has_host = bool(parts) and ("." in parts[0] or ":" in parts[0] or parts[0] == "localhost")
    host = parts[0] if has_host else ""
    last = parts[-1] if len(parts) > has_host else ""
    publisher = _SAME_PUBLISHER.get(last, last)
    if (publisher, name) in _ROWS:
        return publisher, name
    if host not in _PUBLIC or _MIRRORS.search(last):
        return ("", name) if ("", name) in _ROWS else _BY_NAME.get(name)
    return None


def _of_family(folder: str, name: str) -> KnownImage | None:
    """Images that one rule holds for: those of linuxserver.io and hotio, and Red Hat's databases, by name and version."""
    path = "/config" if folder.rpartition("/")[2] in {"linuxserver", "hotio"} else ""
    database = _RED_HAT.fullmatch(name)
    if database:
        path = _RED_HAT_DATA[database[1]]
    if not path:
        return None
    return KnownImage(name, (path,), Keeps.ALWAYS, is_volume=True, mount=path, is_newest=False, has_parts=not database)
