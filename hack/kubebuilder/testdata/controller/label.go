package controller

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	appsv1alpha1 "github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// label is the tiny work of the second kind's reconciler.
func label(ctx context.Context, c client.Client, req ctrl.Request) error {
	backup := &appsv1alpha1.Backup{}
	if err := c.Get(ctx, req.NamespacedName, backup); err != nil {
		return client.IgnoreNotFound(err)
	}
	before := backup.DeepCopy()
	backup.Labels = map[string]string{"reconciled": "yes"}
	return c.Patch(ctx, backup, client.MergeFrom(before))
}
