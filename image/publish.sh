#!/bin/sh
# Publishes the archives in dist/images, each image as one list of all its architectures; or the chart in dist.
#   sh image/publish.sh images|chart VERSION REGISTRY
# dist/references gets what is to be signed, by digest; so does the workflow's step, where GITHUB_OUTPUT is set.
#   BUILDAH, HELM               the programs, with options of their own
#   PUSH_OPTIONS, HELM_OPTIONS  of `buildah manifest push` and `helm push`
set -eu
cd "$(dirname "$0")/.."
what=$1
version=$2
registry=$3

note() { # NAME REPOSITORY DIGEST
    echo "$2@$3" >>dist/references
    echo "$1=$3" >>"${GITHUB_OUTPUT:-/dev/null}"
    echo "$2:$version is $3"
}

if [ "$what" = chart ]; then
    # shellcheck disable=SC2086 # a list of words
    pushed=$(${HELM:-helm} push "dist/volume-guard-$version.tgz" ${HELM_OPTIONS:-} "oci://$registry/charts" 2>&1) ||
        { echo "$pushed" >&2 && exit 1; }
    note chart "$registry/charts/volume-guard" "$(echo "$pushed" | sed -n 's/^Digest: //p')"
    exit
fi
for image in volume-guard volume-guard-doctor volume-guard-backup; do
    list=localhost/$image-list:$version
    ${BUILDAH:-buildah} rmi "$list" >/dev/null 2>&1 || true
    ${BUILDAH:-buildah} manifest create "$list" >/dev/null
    for archive in dist/images/"$image".*.tar; do
        ${BUILDAH:-buildah} manifest add "$list" "oci-archive:$archive" >/dev/null
    done
    # shellcheck disable=SC2086 # a list of words
    ${BUILDAH:-buildah} manifest push --quiet --all ${PUSH_OPTIONS:-} --digestfile dist/digest "$list" \
        "docker://$registry/$image:$version" >/dev/null
    ${BUILDAH:-buildah} rmi "$list" >/dev/null
    note "$image" "$registry/$image" "$(cat dist/digest)"
done
