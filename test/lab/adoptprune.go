package lab

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

// adoptAndPrune deletes the adopted objects, as a GitOps tool does that prunes objects without a manifest.
func adoptAndPrune(ctx context.Context, r *round) error {
	if err := r.adoptAndRollOut(ctx); err != nil {
		return err
	}
	kept, control := r.lab.suite.workloads[0], r.lab.suite.workloads[1]
	if err := r.pruneUnprotected(ctx, control); err != nil {
		return err
	}
	if err := r.pruneProtected(ctx, kept); err != nil {
		return err
	}
	if err := r.waitUnderLoad(ctx, steadyTime); err != nil {
		return err
	}
	return r.settle(ctx)
}

// prunedObjects returns the objects of a workload that its old manifests had.
func prunedObjects(w *workload) []client.Object {
	m := metav1.ObjectMeta{Name: w.name}
	return []client.Object{
		&policyv1.PodDisruptionBudget{ObjectMeta: m}, &appsv1.Deployment{ObjectMeta: m}, &corev1.Service{ObjectMeta: m},
	}
}

func (r *round) prune(ctx context.Context, object client.Object) error {
	return r.lab.testbed.Delete(ctx, object, client.PropagationPolicy(metav1.DeletePropagationBackground))
}

func (r *round) pruneProtected(ctx context.Context, w *workload) error {
	r.lab.say("  prune %s", w.name)
	r.addEvent(w.name, "prune")
	for _, object := range prunedObjects(w) {
		switch err := r.prune(ctx, object); {
		case err == nil:
			return fmt.Errorf("%T %s was deleted: no policy denied it", object, w.name)
		case !apierrors.IsForbidden(err):
			return fmt.Errorf("deleting %T %s: %w", object, w.name, err)
		}
	}
	return nil
}

// pruneUnprotected deletes objects with the annotation that allows it, and waits until the operator has created them again.
func (r *round) pruneUnprotected(ctx context.Context, w *workload) error {
	allow := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"annotations":{%q:"true"}}}`, v1alpha1.AnnotationAllowDeletion))
	before := map[types.UID]bool{}
	r.lab.say("  allow the deletion of %s and prune it", w.name)
	r.addEvent(w.name, "prune")
	for _, object := range prunedObjects(w) {
		if err := r.lab.testbed.Patch(ctx, object, allow); err != nil {
			return fmt.Errorf("annotating %T %s: %w", object, w.name, err)
		}
		before[object.GetUID()] = true
		if err := r.prune(ctx, object); err != nil {
			return fmt.Errorf("deleting %T %s: %w", object, w.name, err)
		}
	}
	return r.waitFor(ctx, w.name+" to be created again", adoptLimit, func(ctx context.Context) (testbed.Pending, error) {
		for _, object := range prunedObjects(w)[1:] { // the cache has no PodDisruptionBudgets
			if err := r.lab.testbed.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil || before[object.GetUID()] {
				return testbed.Pending(fmt.Sprintf("%T", object)), client.IgnoreNotFound(err)
			}
		}
		return testbed.Done, nil
	})
}
