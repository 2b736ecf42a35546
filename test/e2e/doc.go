// Package e2e has the end-to-end tests. They use kubectl as a user does, on the cluster of KUBECONFIG. The operator must be deployed there, and the
// nodes must have the hello image. hack/test-e2e.sh starts an embedded cluster and runs the tests on it.
package e2e
