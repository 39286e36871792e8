#!/bin/sh
# Reads a chart's manifests, writes them as the kustomization in the folder $1 changes them. It finds them as helm.yaml.
set -eu
trap 'rm -f "$1/helm.yaml"' EXIT
cat > "$1/helm.yaml"
kubectl kustomize "$1"
