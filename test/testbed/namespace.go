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

// PartOfLabel marks the namespace that a later run may delete. Its value is the name of the namespace.
const PartOfLabel = "app.kubernetes.io/part-of"

// Clear deletes the namespace of an earlier run, if there is one, and creates an empty one.
func (t *Testbed) Clear(ctx context.Context) error {
	var ns corev1.Namespace
	err := t.Get(ctx, client.ObjectKey{Name: t.Namespace}, &ns)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading the namespace: %w", err)
	}
	if err == nil {
		if ns.Labels[PartOfLabel] != t.Namespace {
			return fmt.Errorf("the namespace %s exists and this program did not create it (it lacks the label %s=%s); delete the namespace or add the label", t.Namespace, PartOfLabel, t.Namespace)
		}
		if err := t.Delete(ctx, &ns); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting the namespace of an earlier run: %w", err)
		}
	}
	err = t.WaitFor(ctx, "the deletion of the namespace of an earlier run", 3*time.Minute, func(ctx context.Context) (Pending, error) {
		err := t.Get(ctx, client.ObjectKey{Name: t.Namespace}, &ns)
		if apierrors.IsNotFound(err) {
			return Done, nil
		}
		return Pending("namespace " + t.Namespace), err
	})
	if err != nil {
		return err
	}
	return t.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: t.Namespace, Labels: map[string]string{PartOfLabel: t.Namespace}}})
}
