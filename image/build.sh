#!/bin/sh
# Builds the images for this machine's architecture, and leaves them in dist/images as archives. Nothing is published.
#   BUILDAH        the program, with options of its own
#   REVISION       the commit, where this is no checkout
#   BUILD_OPTIONS  of `buildah build`: another base, another restic, what a proxy needs
set -eu
cd "$(dirname "$0")/.."
version=$1
case $(uname -m) in
    x86_64) architecture=amd64 ;;
    aarch64) architecture=arm64 ;;
    *) echo "no image is published for $(uname -m)" >&2 && exit 1 ;;
esac
mkdir -p dist/images

build() {
    image=$1
    shift
    # shellcheck disable=SC2086 # lists of words
    ${BUILDAH:-buildah} build ${BUILD_OPTIONS:-} --tag "localhost/$image:$version" \
        --build-arg "VERSION=$version" --build-arg "REVISION=${REVISION:-$(git rev-parse HEAD)}" "$@"
    rm -f "dist/images/$image.$architecture.tar"
    ${BUILDAH:-buildah} push "localhost/$image:$version" "oci-archive:dist/images/$image.$architecture.tar"
}

build volume-guard .
build volume-guard-doctor --target doctor .
build volume-guard-backup --build-arg "GUARD=localhost/volume-guard:$version" --file k8s/backup/Dockerfile k8s/backup
