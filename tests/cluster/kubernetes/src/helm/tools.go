//go:build tools

// Package tools names the program that is built here, so that go.mod keeps it. A module of its own: it is built only
// where charts are tested, and its dependencies need not fit the cluster's.
package tools

import _ "helm.sh/helm/v4/cmd/helm"
