// Package e2e does what a user does, with kubectl, on whatever cluster KUBECONFIG names: the operator and the hello image must
// be there. hack/test-e2e.sh brings an embedded cluster up for it.
package e2e
