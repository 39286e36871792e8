#!/bin/sh
# Signs what was published, and attaches to each image what it is made of. In the workflow the identity is the workflow's.
#   COSIGN          the program
#   COSIGN_OPTIONS  of `cosign sign` and `cosign attest`
set -eu
cd "$(dirname "$0")/.."
while read -r reference; do
    # shellcheck disable=SC2086 # a list of words
    ${COSIGN:-cosign} sign --yes ${COSIGN_OPTIONS:-} "$reference"
    image=${reference%@*}
    for contents in dist/"${image##*/}".*.spdx.json; do
        case $reference in */charts/*) continue ;; esac
        # shellcheck disable=SC2086 # a list of words
        ${COSIGN:-cosign} attest --yes ${COSIGN_OPTIONS:-} --type spdxjson --predicate "$contents" "$reference"
    done
done <dist/references
