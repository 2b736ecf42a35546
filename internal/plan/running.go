package plan

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// Running is what the live objects fix for the derivation. Its zero value describes an app that has none yet.
type Running struct {
	// Deployment and Service as they are in the cluster, owned by the app or about to be adopted by it; nil if absent.
	Deployment *appsv1.Deployment
	Service    *corev1.Service
}
