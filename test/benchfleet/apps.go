package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// workers is the number of concurrent requests of the bench, that of the operator's reconciles.
const workers = 16

// startReplicas and endReplicas are the replicas before and after the patch of all apps.
const (
	startReplicas = 2
	endReplicas   = 3
)

// appPrefix begins the names of the measured apps, warmUpPrefix those of the apps that are created before.
const (
	appPrefix    = "app-"
	warmUpPrefix = "warm-up-"
)

// makeApps returns n apps, spread over the namespaces.
func makeApps(n int, namespaces []string) []*v1alpha1.GracefulApp {
	apps := make([]*v1alpha1.GracefulApp, n)
	for i := range apps {
		get := &corev1.HTTPGetAction{Path: "/", Port: intstr.FromString("http")}
		apps[i] = &v1alpha1.GracefulApp{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespaces[i%len(namespaces)], Name: fmt.Sprintf("%s%d", appPrefix, i)},
			Spec: v1alpha1.GracefulAppSpec{
				Replicas: new(int32(startReplicas)),
				Timing:   v1alpha1.TimingSpec{StartupSeconds: 5, RequestSeconds: 1},
				Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{
					Name: "web", Image: "example.com/web:1", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}},
					ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: get}},
				}}}},
			},
		}
	}
	return apps
}

// ownedBy returns the objects that the operator writes for an app, in its order.
func ownedBy(app *v1alpha1.GracefulApp) ([]runtime.ApplyConfiguration, error) {
	p, errs, _ := plan.For(app, plan.Running{})
	if len(errs) > 0 {
		return nil, errs.ToAggregate()
	}
	return []runtime.ApplyConfiguration{p.Service, p.Deployment, p.PodDisruptionBudget}, nil
}

// forEach calls do for all apps with some workers, and returns the seconds until all calls have returned.
func forEach(ctx context.Context, apps []*v1alpha1.GracefulApp, do func(context.Context, *v1alpha1.GracefulApp) error) (float64, error) {
	start := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for _, app := range apps {
		group.Go(func() error { return do(ctx, app) })
	}
	err := group.Wait()
	return time.Since(start).Seconds(), err
}

// noOwner is the UID of apps that are not stored. Owner references need one, and no garbage collector runs.
const noOwner = "00000000-0000-4000-8000-000000000000"

// applyOwned writes an app's objects as a client without an operator does.
func (c *controlPlane) applyOwned(ctx context.Context, app *v1alpha1.GracefulApp) error {
	return c.applyOwnedWith(ctx, app)
}

func (c *controlPlane) applyOwnedWith(ctx context.Context, app *v1alpha1.GracefulApp, opts ...client.ApplyOption) error {
	if app.UID == "" {
		app = app.DeepCopy()
		app.UID = noOwner
	}
	objects, err := ownedBy(app)
	if err != nil {
		return err
	}
	for _, object := range objects {
		if err := c.Apply(ctx, object, append(opts, client.FieldOwner("bench"), client.ForceOwnership)...); err != nil {
			return err
		}
	}
	return nil
}

// replicasPatch returns a merge patch of spec.replicas.
func replicasPatch(n int32) client.Patch {
	return client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, n))
}

func objectMeta(app *v1alpha1.GracefulApp) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: app.Namespace, Name: app.Name}
}

// availablePatch returns the status of a Deployment whose pods are all available.
func availablePatch(n int32, generation int64) client.Patch {
	return client.RawPatch(types.MergePatchType, fmt.Appendf(nil,
		`{"status":{"observedGeneration":%d,"replicas":%[2]d,"updatedReplicas":%[2]d,"readyReplicas":%[2]d,"availableReplicas":%[2]d}}`, generation, n))
}
