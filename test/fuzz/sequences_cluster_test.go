package fuzz

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

const (
	appName = "hello"
)

// snapshot is the content of a namespace. The app, Deployment, Service and PodDisruptionBudget of the app's name are nil if absent.
type snapshot struct {
	app        *v1alpha1.GracefulApp
	deployment *appsv1.Deployment
	service    *corev1.Service
	budget     *policyv1.PodDisruptionBudget
	// objects are all that may be the app's, or that concern it, by kind and name.
	objects map[string]client.Object
	// autoscaled reports whether a HorizontalPodAutoscaler targets the Deployment.
	autoscaled bool
}

func takeSnapshot(ctx context.Context, api client.Client, key client.ObjectKey) (*snapshot, error) {
	apps, deployments, services := &v1alpha1.GracefulAppList{}, &appsv1.DeploymentList{}, &corev1.ServiceList{}
	budgets, autoscalers := &policyv1.PodDisruptionBudgetList{}, &autoscalingv2.HorizontalPodAutoscalerList{}
	for _, list := range []client.ObjectList{apps, deployments, services, budgets, autoscalers} {
		if err := api.List(ctx, list, client.InNamespace(key.Namespace)); err != nil {
			return nil, err
		}
	}
	s := &snapshot{objects: map[string]client.Object{}}
	s.app, s.deployment = add(s, kindApp, apps.Items), add(s, kindDeployment, deployments.Items)
	s.service, s.budget = add(s, kindService, services.Items), add(s, kindBudget, budgets.Items)
	add(s, "HorizontalPodAutoscaler", autoscalers.Items)
	for _, a := range autoscalers.Items {
		s.autoscaled = s.autoscaled || a.Spec.ScaleTargetRef.Kind == kindDeployment
	}
	return s, nil
}

// add puts the items into the snapshot and returns the one that has the app's name, or nil.
func add[T any, P interface {
	*T
	client.Object
}](s *snapshot, kind string, items []T) P {
	var named P
	for i := range items {
		object := P(&items[i])
		s.objects[kind+" "+object.GetName()] = object
		if object.GetName() == appName {
			named = object
		}
	}
	return named
}

// isSame reports whether the controller's watches deliver no event between the two snapshots. It does not watch autoscalers of the GracefulApp.
func (s *snapshot) isSame(other *snapshot) bool {
	return maps.Equal(s.watched(), other.watched())
}

func (s *snapshot) watched() map[string]string {
	versions := map[string]string{}
	for name, object := range s.objects {
		if a, ok := object.(*autoscalingv2.HorizontalPodAutoscaler); ok && a.Spec.ScaleTargetRef.Kind != kindDeployment {
			continue
		}
		versions[name] = string(object.GetUID()) + object.GetResourceVersion()
	}
	return versions
}

// isOurs reports whether the app owns an object: the app controls it, or did so before a client removed the owner reference.
func (s *snapshot) isOurs(object client.Object) bool {
	if s.app == nil {
		return false
	}
	return plan.Owns(s.app, object)
}

// followsApp reports whether the Deployment must have the app's number of replicas.
func (s *snapshot) followsApp() bool {
	d := s.deployment
	return s.app != nil && s.app.DeletionTimestamp.IsZero() && d != nil && d.DeletionTimestamp.IsZero() && s.isOurs(d) && !s.autoscaled
}

// runControllers acts as the garbage collector and the Deployment controller.
func (e *testEnv) runControllers() error {
	for _, object := range e.seen.objects {
		if err := client.IgnoreNotFound(e.collect(object)); err != nil {
			return err
		}
	}
	if d := e.seen.deployment; d != nil && d.DeletionTimestamp.IsZero() {
		if err := e.rollOut(d.DeepCopy()); err != nil {
			return err
		}
	}
	return e.look()
}

// collect deletes an object if its owner is gone. It also finishes a foreground deletion, because no object here has dependents.
func (e *testEnv) collect(object client.Object) error {
	if !object.GetDeletionTimestamp().IsZero() && slices.Contains(object.GetFinalizers(), metav1.FinalizerDeleteDependents) {
		return e.api.Patch(e.ctx, object.DeepCopyObject().(client.Object),
			client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`)))
	}
	owner := metav1.GetControllerOf(object)
	if owner == nil || owner.Kind != kindApp || e.seen.app != nil && owner.UID == e.seen.app.UID {
		return nil
	}
	return e.api.Delete(e.ctx, object, client.PropagationPolicy(metav1.DeletePropagationBackground))
}

// rollOut writes the status of a finished rollout into a Deployment, except for the pods that do not become ready.
func (e *testEnv) rollOut(d *appsv1.Deployment) error {
	n := *d.Spec.Replicas
	ready := max(0, n-e.unready)
	status := appsv1.DeploymentStatus{
		ObservedGeneration: d.Generation, Replicas: n, UpdatedReplicas: n, ReadyReplicas: ready, AvailableReplicas: ready, UnavailableReplicas: n - ready,
	}
	if apiequality.Semantic.DeepEqual(d.Status, status) {
		return nil
	}
	d.Status = status
	return e.api.Status().Update(e.ctx, d, client.FieldOwner("kube-controller-manager"))
}

// setPolicy puts an admission policy in force for the namespace, or none, and waits until the API server follows it.
func (e *testEnv) setPolicy(policy string) error {
	if policy == e.policy {
		return nil
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: e.key.Namespace}}
	patch := fmt.Appendf(nil, `{"metadata":{"labels":{%q:%q}}}`, policyLabel, policy)
	if err := e.api.Patch(e.ctx, namespace, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return err
	}
	e.policy = policy
	ctx, cancel := context.WithTimeout(e.ctx, 20*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		probe := handmadeDeployment(e.key.Namespace, 1)
		probe.Name = "probe"
		if err := e.api.Create(ctx, probe, client.DryRunAll); err != nil {
			return err
		}
		if policyOf(probe) == policy {
			return nil
		}
	}
	return errors.New("the admission policy is not in force")
}
