#!/bin/sh
# Installs what tests on real mounts use and a bare Debian lacks, and fetches Prometheus for those of the monitoring.
# Without root or apt the tests that need it skip, and say so.
set -eu
command -v apt-get >/dev/null || exit 0
missing=
command -v mkfs.xfs >/dev/null || missing="$missing xfsprogs"
command -v mkfs.btrfs >/dev/null || missing="$missing btrfs-progs"
command -v rsync >/dev/null || missing="$missing rsync"
command -v mkfs.ext4 >/dev/null || missing="$missing e2fsprogs"
# On Ubuntu: what is taken out of Debian's packages is checked with Debian's keys.
[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || missing="$missing debian-archive-keyring"
prometheus=${VOLUME_GUARD_CACHE:-$HOME/.cache/volume-guard}/programs/prometheus
{ command -v promtool && command -v prometheus || [ -x "$prometheus/usr/bin/promtool" ]; } >/dev/null && prometheus=
[ -n "$missing$prometheus" ] || exit 0
if [ "$(id -u)" = 0 ]; then
    apt-get update -qq >/dev/null
    # shellcheck disable=SC2086 # a list of names
    [ -z "$missing" ] || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi
[ -n "$prometheus" ] || exit 0
# Unpacked, not installed: the package would start a server on this machine.
download=$(mktemp -d)
trap 'rm -rf "$download"' EXIT
(cd "$download" && apt-get download -qq prometheus >/dev/null 2>&1) || exit 0
mkdir -p "$(dirname "$prometheus")"
dpkg-deb --extract "$download"/prometheus_*.deb "$download/unpacked"
mv "$download/unpacked" "$prometheus"
