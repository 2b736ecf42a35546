package main

import (
	"context"
	"errors"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// permitted returns the namespaces in which the operator may list GracefulApps. Without that permission, for example because a namespace and its
// RoleBinding were deleted, the caches would never be complete, and the operator would work in no namespace.
func permitted(ctx context.Context, reader client.Reader, namespaces []string) ([]string, error) {
	left := slices.DeleteFunc(slices.Clone(namespaces), func(namespace string) bool {
		apps := &metav1.PartialObjectMetadataList{}
		apps.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("GracefulAppList"))
		err := reader.List(ctx, apps, client.InNamespace(namespace), client.Limit(1))
		if apierrors.IsForbidden(err) {
			setupLog.Error(err, "The operator does not work in this namespace until its next start; create the RoleBinding there, or remove the namespace from "+
				"--watch-namespaces", "namespace", namespace)
		}
		return apierrors.IsForbidden(err)
	})
	if len(left) == 0 && len(namespaces) > 0 {
		return nil, errors.New("the operator may work in none of its --watch-namespaces; the log has an error for each")
	}
	return left, nil
}
