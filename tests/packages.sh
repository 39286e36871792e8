#!/bin/sh
# Installs what tests on real mounts use and a bare Debian lacks. Without root or apt the tests that need it skip, and say so.
set -eu
[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || exit 0
missing=
command -v mkfs.xfs >/dev/null || missing="$missing xfsprogs"
command -v mkfs.ext4 >/dev/null || missing="$missing e2fsprogs"
[ -n "$missing" ] || exit 0
apt-get update -qq >/dev/null
# shellcheck disable=SC2086 # a list of names
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
