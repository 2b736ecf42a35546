package controllers

import (
	"context"
	"fmt"
	"sync"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	ctrlevent "sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// causeDelay is the wait between a change of a cause and the retry. The API servers need time to load the change (they compile policies once per
// second), and one retry serves many changes of a quota's status.
const causeDelay = 5 * time.Second

// causes returns the kinds of objects that can make the API server reject the operator's writes. LimitRanges are left out, because they apply to
// pods. An operator of some namespaces has RoleBindings, which permit no watch of the kinds that are not in a namespace, so after a change of such an object
// it waits for its next retry.
func (r *GracefulAppReconciler) causes() []client.Object {
	if len(r.Namespaces) > 0 {
		return []client.Object{&corev1.ResourceQuota{}}
	}
	return []client.Object{
		&corev1.ResourceQuota{},
		&admissionregistrationv1.ValidatingAdmissionPolicy{},
		&admissionregistrationv1.ValidatingAdmissionPolicyBinding{},
		&admissionregistrationv1.MutatingAdmissionPolicy{},
		&admissionregistrationv1.MutatingAdmissionPolicyBinding{},
		&admissionregistrationv1.ValidatingWebhookConfiguration{},
		&admissionregistrationv1.MutatingWebhookConfiguration{},
	}
}

// watchCauses reconciles failing apps when one of the causes changes.
func (r *GracefulAppReconciler) watchCauses(b *builder.Builder, mgr ctrl.Manager) error {
	for _, cause := range r.causes() {
		isServed, err := serves(mgr.GetRESTMapper(), mgr.GetScheme(), cause)
		if err != nil {
			return err
		}
		if !isServed {
			mgr.GetLogger().Info("The API server does not serve this kind; restart the operator once it does, to watch the kind", "type", fmt.Sprintf("%T", cause))
			continue
		}
		b.WatchesMetadata(cause, r.failing.handler(r.Clock))
	}
	return nil
}

// serves reports whether the API server has the kind. An older API server has no MutatingAdmissionPolicy, and the operator could not start with a
// watch for it.
func serves(mapper meta.RESTMapper, scheme *runtime.Scheme, object client.Object) (bool, error) {
	gvk, err := apiutil.GVKForObject(object, scheme)
	if err != nil {
		return false, err
	}
	_, err = mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if meta.IsNoMatchError(err) {
		return false, nil
	}
	return err == nil, err
}

// failingApps holds the apps that failed at the last reconcile. It is empty in a healthy cluster.
type failingApps struct {
	mu   sync.Mutex
	apps map[types.NamespacedName]struct{}
	// causeChanged is the time of the last change of a cause by namespace, "" for cluster-scoped causes. It has only namespaces with failing apps.
	causeChanged map[string]time.Time
}

// outdatedBefore returns the time before which a rejection in the namespace is outdated, because one of its causes has changed since.
func (f *failingApps) outdatedBefore(namespace string) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return later(f.causeChanged[""], f.causeChanged[namespace]).Add(causeDelay)
}

func (f *failingApps) setCauseChanged(namespace string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.causeChanged == nil {
		f.causeChanged = map[string]time.Time{}
	}
	f.causeChanged[namespace] = now
}

func (f *failingApps) set(app types.NamespacedName, isFailing bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !isFailing {
		delete(f.apps, app)
		return
	}
	if f.apps == nil {
		f.apps = map[types.NamespacedName]struct{}{}
	}
	f.apps[app] = struct{}{}
}

// inNamespace returns the failing apps of a namespace, or all of them if the namespace is "", as for a cluster-scoped object.
func (f *failingApps) inNamespace(namespace string) []reconcile.Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	var requests []reconcile.Request
	for app := range f.apps {
		if namespace == "" || namespace == app.Namespace {
			requests = append(requests, reconcile.Request{NamespacedName: app})
		}
	}
	return requests
}

func (f *failingApps) handler(now clock.PassiveClock) handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	enqueue := func(cause client.Object, q queue) {
		failing := f.inNamespace(cause.GetNamespace())
		if len(failing) == 0 {
			return
		}
		f.setCauseChanged(cause.GetNamespace(), now.Now())
		q.(priorityqueue.PriorityQueue[reconcile.Request]).AddWithOpts(
			priorityqueue.AddOpts{After: causeDelay, Priority: new(retryPriority)}, failing...)
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e ctrlevent.CreateEvent, q queue) { enqueue(e.Object, q) },
		UpdateFunc: func(_ context.Context, e ctrlevent.UpdateEvent, q queue) { enqueue(e.ObjectNew, q) },
		DeleteFunc: func(_ context.Context, e ctrlevent.DeleteEvent, q queue) { enqueue(e.Object, q) },
	}
}
