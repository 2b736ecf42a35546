// Package controllers has the controller of GracefulApps.
package controllers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/children"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// GracefulAppReconciler reconciles the Deployment, Service and PodDisruptionBudget of every GracefulApp.
type GracefulAppReconciler struct {
	client.Client
	Recorder events.EventRecorder
	Clock    clock.PassiveClock
	// Namespaces are those that the operator works in. If there are none, it works in all.
	Namespaces []string
	// Live reads from the API server instead of the cache. If it is nil, Client is used.
	Live client.Reader
	// DrainProxyImage is the image of new drain sidecars. If it is empty, an app in drain mode Sidecar that has no sidecar yet is invalid.
	DrainProxyImage string

	states  appStates
	failing failingApps
	running runningReconciles
	// podLists allows one list of pods at a time.
	podLists sync.Mutex
}

// +kubebuilder:rbac:groups=apps.gracefulapp.dev,resources=gracefulapps,verbs=list;watch
// +kubebuilder:rbac:groups=apps.gracefulapp.dev,resources=gracefulapps/status,verbs=patch
// +kubebuilder:rbac:groups=apps.gracefulapp.dev,resources=gracefulapps/finalizers,verbs=update
// +kubebuilder:rbac:groups=apps,resources=deployments,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups=apps,resources=deployments/scale,verbs=patch
// +kubebuilder:rbac:groups="",resources=services,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups=policy,resources=poddisruptionbudgets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=autoscaling,resources=horizontalpodautoscalers,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=resourcequotas,verbs=list;watch
// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=validatingadmissionpolicies;validatingadmissionpolicybindings,verbs=list;watch
// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=mutatingadmissionpolicies;mutatingadmissionpolicybindings,verbs=list;watch
// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=validatingwebhookconfigurations;mutatingwebhookconfigurations,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=pods,verbs=create;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// The operator reads from the cache. It gets an object only to adopt it, because the cache has not the whole of it. It only watches quotas, admission policies and webhook configurations: see
// watchCauses. It creates pods only as dry runs, at admission, and lists pods only while an app is not Ready: see observeStuckPod. It
// watches only the pods with a drain sidecar: see watchDrains.

// Reconcile changes the owned objects of an app to match its spec, and updates its status. The garbage collector deletes the owned objects of a
// deleted app. If the app changes while Reconcile waits for a slow response, Reconcile is interrupted.
func (r *GracefulAppReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	ctx, end := r.running.begin(ctx, req.NamespacedName, r.Clock.Now())
	defer end()
	result, err := r.reconcile(ctx, req)
	if errors.Is(context.Cause(ctx), errInterrupted) {
		// The event handler that interrupts may run after the one that enqueues. Then this reconcile has read the changed app already, and the queue has
		// no further request for it.
		return retry(minBackoff), nil
	}
	return result, err
}

func (r *GracefulAppReconciler) reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	stored := newUnstructuredApp()
	if err := r.Get(ctx, req.NamespacedName, stored, client.UnsafeDisableDeepCopy); err != nil || stored.GetDeletionTimestamp() != nil {
		r.states.forget(req.NamespacedName)
		r.failing.set(req.NamespacedName, false)
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	decoded, state := r.states.forApp(stored)
	app := decoded.app
	s := reconcileState{app: app, state: state, specErrors: decoded.errs, specChanged: state.isNewGeneration(app), now: r.Clock.Now()}
	s.state.correctStatus(app, s.now)
	s.observed, s.err = children.Observe(ctx, children.Reader{Cache: r.Client, Live: r.live()}, app)
	s.observeFailed = s.err != nil
	if !s.observeFailed && len(decoded.errs) == 0 {
		running := s.observed.Running()
		state.drainToken = cmp.Or(running.DrainToken(), state.drainToken)
		running.DrainProxy = plan.DrainProxy{Image: r.DrainProxyImage, Token: state.drainToken}
		s.plan, s.specErrors, _ = plan.For(app, running)
	}
	api := guardedClient{Client: r.Client, guard: s.limitWrite}
	s.state.budget.begin(s.specChanged)
	s.state.answers.Begin(s.now, later(s.now.Add(-rejectedRequeueAfter), r.failing.outdatedBefore(app.Namespace)))
	r.apply(ctx, api, &s)
	r.failing.set(req.NamespacedName, s.err != nil)
	r.observeStuckPod(ctx, &s)

	r.record(app, changeEvents(s.changes, s.lastApply, app.Status.ObservedGeneration == app.Generation))
	status, reported := s.status(s.now), s.state.reportedStatus(app)
	written, err := s.writeStatus(ctx, api, status)
	if err != nil {
		s.state.reported = &reported
		return retry(0), err
	}
	if written {
		s.state.reported = nil
		r.record(app, conditionEvents(reported, status))
	}
	result, err := s.result()
	if err == nil && result.IsZero() && isSettled(app.Status, status) {
		state.decoded = decodedApp{}
	}
	return result, err
}

// isSettled reports whether an app is Ready and its status is stored. Then it probably does not change for a long time.
func isSettled(stored, status v1alpha1.GracefulAppStatus) bool {
	return meta.IsStatusConditionTrue(status.Conditions, v1alpha1.ConditionReady) && apiequality.Semantic.DeepEqual(stored, status)
}

// isGone asks the API server whether the app was deleted. A deletion with --cascade=orphan removes the owner references, and a cache may show that
// before the deletion. If the operator restored an owner reference then, the garbage collector would delete the object.
func (r *GracefulAppReconciler) isGone(ctx context.Context, app *v1alpha1.GracefulApp) (bool, error) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("GracefulAppList"))
	err := r.live().List(ctx, list, client.InNamespace(app.Namespace), client.MatchingFields{"metadata.name": app.Name})
	if err != nil {
		return false, fmt.Errorf("reading the app before its owner reference is restored: %w", err)
	}
	return len(list.Items) == 0 || list.Items[0].GetUID() != app.UID || list.Items[0].GetDeletionTimestamp() != nil, nil
}

func (r *GracefulAppReconciler) live() client.Reader {
	if r.Live != nil {
		return r.Live
	}
	return r.Client
}

// SetupWithManager registers the controller and its watches. It also wraps the client, so that slow writes are limited.
func (r *GracefulAppReconciler) SetupWithManager(mgr ctrl.Manager) error {
	r.Client = guardedClient{Client: r.Client, guard: newCallLimiter(maxSlowCalls, maxSlowPerTarget, maxProbed).do}
	if err := mgr.GetFieldIndexer().IndexField(context.Background(), newUnstructuredApp(), podLabelIndex, podLabelKeys); err != nil {
		return err
	}
	// Owned objects have the app's name, as does an object of another owner that blocks the name. So both are mapped to the app by name.
	byName := &handler.EnqueueRequestForObject{}
	// There is no predicate on the app: a reconcile that saw a stale status writes nothing, so the update of the status must cause another one.
	b := ctrl.NewControllerManagedBy(mgr).
		Named("gracefulapp").
		WithOptions(controllerOptions()).
		For(newUnstructuredApp()).
		Watches(newUnstructuredApp(), r.interruptChanged()).
		Watches(&appsv1.Deployment{}, byName, relevantChanges()).
		Watches(&corev1.Service{}, byName, relevantChanges()).
		Watches(&policyv1.PodDisruptionBudget{}, handler.EnqueueRequestsFromMapFunc(r.appsOfDisruptionBudget), relevantChanges()).
		Watches(&autoscalingv2.HorizontalPodAutoscaler{}, handler.EnqueueRequestsFromMapFunc(appOfAutoscaler), relevantChanges())
	if err := r.watchCauses(b, mgr); err != nil {
		return err
	}
	return errors.Join(r.watchDrains(mgr), b.Complete(r))
}

// appOfAutoscaler maps an autoscaler that targets a Deployment to the app of that name. It also works after the target of an autoscaler has changed,
// because the handler maps the old and the new object of an update.
func appOfAutoscaler(_ context.Context, object client.Object) []reconcile.Request {
	autoscaler, ok := object.(*autoscalingv2.HorizontalPodAutoscaler)
	if !ok || children.ScaledDeployment(autoscaler) == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: object.GetNamespace(), Name: children.ScaledDeployment(autoscaler)}}}
}
