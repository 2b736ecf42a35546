package main

import (
	"context"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// baseline has the seconds that a bare client needs for the same writes, with as many workers as the operator and without a limit of its own.
type baseline struct {
	Floor float64 `json:"floorSeconds"` // applies the owned objects of all apps
	Limit float64 `json:"limitSeconds"` // creates the apps, applies their owned objects and writes one status each
	Patch float64 `json:"patchSeconds"` // patches the replicas of all Deployments
	// PatchLimit is for all writes that a change of the replicas needs: of the app, of the scale of its Deployment and of the status.
	PatchLimit float64 `json:"patchLimitSeconds"`
	// Admitted is Limit with a dry run of each owned object and of a pod before it.
	Admitted float64 `json:"admittedSeconds"`
}

// measureBaseline measures a bare client on a control plane of its own.
func measureBaseline(ctx context.Context, o options, n, namespaces int) (b baseline, err error) {
	c, err := startControlPlane(o.crds)
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	floor, err := c.createNamespaces(ctx, "floor", namespaces)
	if err != nil {
		return b, err
	}
	limit, err := c.createNamespaces(ctx, "limit", namespaces)
	if err != nil {
		return b, err
	}
	if err := c.warmUp(ctx, floor[0]); err != nil {
		return b, err
	}
	if b.Floor, err = forEach(ctx, makeApps(n, floor), c.applyOwned); err != nil {
		return b, fmt.Errorf("floor: %w", err)
	}
	if o.admission {
		admitted, err := c.createNamespaces(ctx, "admitted", namespaces)
		if err != nil {
			return b, err
		}
		if b.Admitted, err = forEach(ctx, makeApps(n, admitted), c.createAdmitted); err != nil {
			return b, fmt.Errorf("limit with dry runs: %w", err)
		}
	}
	apps := makeApps(n, limit)
	if b.Limit, err = forEach(ctx, apps, c.createAll); err != nil {
		return b, fmt.Errorf("limit: %w", err)
	}
	if b.Patch, err = forEach(ctx, apps, func(ctx context.Context, app *v1alpha1.GracefulApp) error {
		deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: app.Namespace, Name: app.Name}}
		return c.Patch(ctx, deployment, replicasPatch(endReplicas))
	}); err != nil {
		return b, fmt.Errorf("patch: %w", err)
	}
	b.PatchLimit, err = forEach(ctx, apps, c.patchAll)
	return b, err
}

// patchAll makes all writes that a change of an app's replicas needs.
func (c *controlPlane) patchAll(ctx context.Context, app *v1alpha1.GracefulApp) error {
	changed := &v1alpha1.GracefulApp{ObjectMeta: objectMeta(app)}
	if err := c.Patch(ctx, changed, replicasPatch(endReplicas+1)); err != nil {
		return err
	}
	deployment := &appsv1.Deployment{ObjectMeta: objectMeta(app)}
	err := c.SubResource("scale").Patch(ctx, deployment, replicasPatch(endReplicas+1), &client.SubResourcePatchOptions{SubResourceBody: &autoscalingv1.Scale{}})
	if err != nil {
		return err
	}
	before := changed.DeepCopy()
	changed.Status.ObservedGeneration = changed.Generation
	return c.Status().Patch(ctx, changed, client.MergeFrom(before))
}

// createAll makes all writes that an app needs: the app, its owned objects and one status.
func (c *controlPlane) createAll(ctx context.Context, app *v1alpha1.GracefulApp) error {
	app = app.DeepCopy()
	if err := c.Create(ctx, app); err != nil {
		return err
	}
	if err := c.applyOwned(ctx, app); err != nil {
		return err
	}
	before := app.DeepCopy()
	app.Status.ObservedGeneration = app.Generation
	return c.Status().Patch(ctx, app, client.MergeFrom(before))
}

// createAdmitted makes a dry run of each object that the webhook tries, and then all writes.
func (c *controlPlane) createAdmitted(ctx context.Context, app *v1alpha1.GracefulApp) error {
	if err := c.applyOwnedWith(ctx, app, client.DryRunAll); err != nil {
		return err
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: app.Namespace, GenerateName: app.Name + "-"}, Spec: app.Spec.Template.Spec}
	if err := c.Create(ctx, pod, client.DryRunAll); err != nil {
		return err
	}
	return c.createAll(ctx, app)
}

// warmUp opens connections and lets the API server load what it needs for the kinds.
func (c *controlPlane) warmUp(ctx context.Context, namespace string) error {
	if _, err := forEach(ctx, warmUpApps(namespace), c.createAll); err != nil {
		return fmt.Errorf("warming up: %w", err)
	}
	return nil
}

func warmUpApps(namespace string) []*v1alpha1.GracefulApp {
	apps := makeApps(2*workers, []string{namespace})
	for _, app := range apps {
		app.Name = warmUpPrefix + app.Name
	}
	return apps
}

// isObserved reports whether the operator has written the app's objects, and the status of its generation. On a starved machine, a write may time out; the
// status says so, and the operator repeats the write.
func isObserved(object client.Object) bool {
	app, ok := object.(*v1alpha1.GracefulApp)
	if !ok || app.Status.ObservedGeneration != app.Generation {
		return false
	}
	ready := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionReady)
	return ready == nil || ready.Reason != v1alpha1.ReasonApplyFailed
}

// hasReplicas returns a condition for Deployments.
func hasReplicas(n int32) func(client.Object) bool {
	return func(object client.Object) bool {
		d, ok := object.(*appsv1.Deployment)
		return ok && d.Spec.Replicas != nil && *d.Spec.Replicas == n
	}
}
