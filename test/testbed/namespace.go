package testbed

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// PartOf is the label that marks what a program may delete when it runs again; its value is the namespace.
const PartOf = "app.kubernetes.io/part-of"

// Clear removes what an earlier run has left, by removing the namespace, and makes it anew.
func (t *Testbed) Clear(ctx context.Context) error {
	var ns corev1.Namespace
	err := t.Get(ctx, client.ObjectKey{Name: t.Namespace}, &ns)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading the namespace: %w", err)
	}
	if err == nil {
		if ns.Labels[PartOf] != t.Namespace {
			return fmt.Errorf("the namespace %s exists and is somebody else's (it lacks the label %s=%s)", t.Namespace, PartOf, t.Namespace)
		}
		if err := t.Delete(ctx, &ns); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("removing what an earlier run has left: %w", err)
		}
	}
	err = t.WaitFor(ctx, "what an earlier run has left to go", 3*time.Minute, func(ctx context.Context) (Pending, error) {
		err := t.Get(ctx, client.ObjectKey{Name: t.Namespace}, &ns)
		if apierrors.IsNotFound(err) {
			return Done, nil
		}
		return Pending("namespace " + t.Namespace), err
	})
	if err != nil {
		return err
	}
	return t.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: t.Namespace, Labels: map[string]string{PartOf: t.Namespace}}})
}
