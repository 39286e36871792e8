//go:build tools

// Package metrics pins kube-state-metrics, which the tests of the alerts build.
package metrics

import _ "k8s.io/kube-state-metrics/v2"
