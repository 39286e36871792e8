"""Known images: where popular databases and self-hosted applications keep their data, by image and version. Pure."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from guard.doctor.objects.names import word_set


@dataclass(frozen=True, slots=True)
class KnownImage:
    """Where one version of an image keeps its data."""

    name: str  # the last part of the image's name
    paths: tuple[str, ...]  # the data folders of the versions that the tag leaves open; one of them is enough
    #: Whether it keeps data wherever it runs; else it is a cache, or often run with a database or with its own files alone.
    keeps_always: bool
    is_volume: bool  # whether the image declares `mount` as a VOLUME: what is mounted above it is then hidden
    mount: str  # where the volume belongs
    is_newest: bool  # whether only the missing tag shows which version it is
    #: Whether folders below it can be volumes of their own, without one for the whole: applications made of files.
    has_parts: bool


#: Data folder (`folder>mount` if the volume belongs above it); whether it keeps data always, whether the mount is a VOLUME,
#: and whether folders of it can be mounted one by one (parts); then images: publisher and name (no publisher: Docker's
#: official ones), from the major version behind the colon on. Without a tag it is the last version, or those with a star.
_TABLE = """
/var/lib/postgresql/data always,volume postgres postgis/postgis pgvector/pgvector timescale/timescaledb citusdata/citus
    supabase/postgres immich-app/postgres tensorchord/pgvecto-rs ankane/pgvector
/var/lib/postgresql/MAJOR/docker>/var/lib/postgresql always postgres:18 postgis/postgis:18 pgvector/pgvector:18
/home/postgres/pgdata/data>/home/postgres/pgdata always timescale/timescaledb-ha
/var/lib/mysql always,volume mysql mysql/mysql-server mariadb percona percona/percona-server
/data/db always,volume mongo
/data/db always mongodb/mongodb-community-server
/data if-asked,volume redis valkey/valkey eqalpha/keydb
/data if-asked redis/redis-stack-server redis/redis-stack
/var/lib/rabbitmq always,volume,parts rabbitmq
/var/lib/influxdb always,volume influxdb
/var/lib/influxdb2 always,volume influxdb:2*
/var/lib/influxdb3 always influxdb:3*
/usr/share/elasticsearch/data always elasticsearch elasticsearch/elasticsearch
/usr/share/opensearch/data always opensearchproject/opensearch
/var/solr always,volume,parts solr
/opt/couchdb/data always,volume couchdb
/opt/couchbase/var always,volume,parts couchbase
/var/lib/cassandra always,volume,parts cassandra
/var/lib/scylla always,volume,parts scylladb/scylla
/var/lib/clickhouse always,volume,parts clickhouse/clickhouse-server yandex/clickhouse-server clickhouse
/data always,volume,parts neo4j gitea/gitea forgejo/forgejo gogs/gogs
/var/lib/arangodb3 always,volume arangodb arangodb/arangodb
/cockroach/cockroach-data always cockroachdb/cockroach
/data always,volume rethinkdb zookeeper vaultwarden/server bitwardenrs/server dani-garcia/vaultwarden
    matrixdotorg/synapse nodered/node-red portainer/portainer-ce datalust/seq itzg/minecraft-server
/tmp/kraft-combined-logs if-asked apache/kafka
/var/lib/kafka/data always,volume confluentinc/cp-kafka confluentinc/cp-enterprise-kafka confluentinc/cp-server
/var/lib/zookeeper/data always,volume confluentinc/cp-zookeeper
/cassandra_data always google-samples/cassandra
/qdrant/storage always qdrant/qdrant
/meili_data always getmeili/meilisearch
/var/lib/weaviate if-asked semitechnologies/weaviate
/var/lib/milvus always milvusdb/milvus
/victoria-metrics-data always victoriametrics/victoria-metrics
/prometheus if-asked,volume prom/prometheus prometheus/prometheus
/var/lib/questdb always,parts questdb/questdb
/data if-asked,volume,parts minio/minio
/var/lib/grafana always grafana/grafana grafana/grafana-oss grafana/grafana-enterprise
/var/www/html always,volume,parts nextcloud wordpress joomla
/mnt/data always,volume,parts owncloud/server
/var/lib/gitea always,volume,parts gitea/gitea-rootless forgejo/forgejo-rootless
/var/opt/gitlab always,volume,parts gitlab/gitlab-ce gitlab/gitlab-ee
/var/lib/ghost/content always,volume,parts ghost
/var/opt/mssql always mssql/server
/opt/oracle/oradata always gvenzl/oracle-xe gvenzl/oracle-free
/home/yugabyte/yb_data if-asked yugabytedb/yugabyte
/dgraph always dgraph/dgraph
/opt/emqx/data always,volume emqx/emqx
/var/www/html if-asked,volume,parts matomo
/var/lib/odoo always,volume,parts odoo
/var/jenkins_home always,volume,parts jenkins/jenkins jenkinsci/blueocean
/nexus-data always,volume sonatype/nexus3
/opt/sonarqube/data if-asked,parts sonarqube
/var/lib/registry if-asked,volume,parts registry
/var/lib/registry if-asked,parts registry:3
/verdaccio/storage always,volume verdaccio/verdaccio
/mattermost/data if-asked,volume,parts mattermost/mattermost-team-edition
/config always,parts home-assistant/home-assistant homeassistant/home-assistant
/mosquitto/data if-asked,volume eclipse-mosquitto
/home/node/.n8n always n8nio/n8n
/app/data always,volume louislam/uptime-kuma mealie-recipes/mealie
/config always,volume,parts jellyfin/jellyfin plexinc/pms-docker
/usr/src/paperless/data always,volume,parts paperless-ngx/paperless-ngx
/photoprism/storage always,parts photoprism/photoprism
/var/www/FreshRSS/data always,parts freshrss/freshrss
/etc/pihole always pihole/pihole
/opt/adguardhome/work always,volume adguard/adguardhome
/app/backend/data always,parts open-webui/open-webui
/data always actualbudget/actual-server chromadb/chroma:1
/etc/linkding/data always sissbruecker/linkding
/var/opt/memos always,volume neosmemo/memos
/consul/data if-asked,volume hashicorp/consul
/chroma/chroma always chromadb/chroma
/bitnami/postgresql/data>/bitnami/postgresql always,volume bitnami/postgresql
/bitnami/postgresql/data>/bitnami/postgresql always bitnami/postgresql-repmgr
/bitnami/mysql/data>/bitnami/mysql always bitnami/mysql
/bitnami/mariadb/data>/bitnami/mariadb always bitnami/mariadb bitnami/mariadb-galera
/bitnami/mongodb/data/db>/bitnami/mongodb always bitnami/mongodb
/bitnami/redis/data if-asked bitnami/redis
/bitnami/valkey/data if-asked bitnami/valkey
/bitnami/etcd/data>/bitnami/etcd always bitnami/etcd
/bitnami/elasticsearch/data if-asked bitnami/elasticsearch
/bitnami/kafka/data>/bitnami/kafka if-asked bitnami/kafka
/bitnami/influxdb always bitnami/influxdb
/bitnami/minio/data if-asked bitnami/minio
/bitnami/wordpress always,volume,parts bitnami/wordpress
/bitnami/wordpress always,parts bitnami/wordpress:5
/bitnami/ghost always,parts bitnami/ghost
/opt/bitnami/grafana/data always bitnami/grafana
"""
#: Publishers under whose name the same images were moved or built again.
_SAME_PUBLISHER = {"bitnamilegacy": "bitnami", "bitnamisecure": "bitnami", "library": ""}
#: Registries in which anybody can have an account: the publisher is part of the name there. Elsewhere the last name is enough.
_PUBLIC = {""} | word_set(
    "docker.io index.docker.io registry-1.docker.io quay.io ghcr.io gcr.io public.ecr.aws lscr.io codeberg.org "
    "registry.gitlab.com mcr.microsoft.com"
)
#: Last names that name no program.
_NO_PROGRAM = frozenset({"server", "chroma"})
_MIRRORS = re.compile(r"docker|hub|mirror|proxy|cache|library|official")
#: Tags of the newest version: none, `latest`, and those that name only the system of the image.
_NEWEST = re.compile(r"|latest|(?:alpine|bookworm|bullseye|trixie|jammy|noble|focal|slim)[\w.-]*")
#: `postgresql-15-c9s`, `mariadb-105`: the version is part of the name.
_RED_HAT = re.compile(r"(postgresql|mysql|mariadb|mongodb)-\d+(?:-(?:c\d+s|(?:centos|rhel|ubi)\d+|fedora))?")
_RED_HAT_DATA = {"postgresql": "pgsql/data", "mysql": "mysql/data", "mariadb": "mysql/data", "mongodb": "mongodb/data"}
_MAJOR = re.compile(r"(?:.*pg|v?)(\d{1,4})(?![0-9a-f]{5})")


@dataclass(frozen=True, slots=True)
class _Row:
    since: int
    is_latest: bool
    path: str
    mount: str
    flags: frozenset[str]


def _rows() -> Mapping[tuple[str, str], list[_Row]]:
    rows: dict[tuple[str, str], list[_Row]] = defaultdict(list)
    for line in _TABLE.replace("\n    ", " ").split("\n")[1:-1]:
        place, flags, *images = line.split()
        path, _, mount = place.partition(">")
        for image in images:
            name, _, since = image.partition(":")
            publisher, _, name = name.rpartition("/")
            row = _Row(int(since.rstrip("*") or 0), "*" in since, path, mount or path, frozenset(flags.split(",")))
            rows[publisher, name].append(row)
    return {key: sorted(found, key=lambda row: row.since) for key, found in rows.items()}


_ROWS = _rows()
#: By the last name alone; bitnami's are no mirrors of others.
_BY_NAME = {key[1]: key for key in _ROWS if key[0] != "bitnami" and key[1] not in _NO_PROGRAM}


def known_image(image: str) -> KnownImage | None:
    """Returns what is known of an image, also from a mirror or without a tag; None for all others."""
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
        rows = [row for row in rows if row.since <= int(major[1])][-1:]
    elif _NEWEST.fullmatch(tag) and not (digest and not tag):
        rows = [row for row in rows if row.is_latest] or rows[-1:]
    newest = rows[-1]
    return KnownImage(
        name,
        paths=tuple(row.path.replace("MAJOR", major[1] if major else str(row.since)) for row in rows),
        keeps_always="always" in newest.flags,
        is_volume=all("volume" in row.flags for row in rows),
        mount=newest.mount,
        is_newest=not major and len(rows) < len(_ROWS[key]),
        has_parts="parts" in newest.flags,
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
    """Returns images that one rule holds for: those of linuxserver.io and hotio, and Red Hat's databases with their version."""
    database = _RED_HAT.fullmatch(name)
    if not database and folder.rpartition("/")[2] not in {"linuxserver", "hotio"}:
        return None
    path = f"/var/lib/{_RED_HAT_DATA[database[1]]}" if database else "/config"
    always = dict.fromkeys(("keeps_always", "is_volume"), True)
    return KnownImage(name, (path,), mount=path, is_newest=False, has_parts=not database, **always)
