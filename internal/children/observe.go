package children

import (
	"context"
	"fmt"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// Observed is the live state of the objects that have the app's name. Deployment, Service and PodDisruptionBudget are nil unless the app owns or
// adopts them. Foreign describes objects of other owners.
type Observed struct {
	Deployment          *appsv1.Deployment
	Service             *corev1.Service
	PodDisruptionBudget *policyv1.PodDisruptionBudget
	// Foreign describes objects of other owners that have the app's name, for example "Service hello (not controlled by anything)".
	Foreign []string
	// Terminating lists objects of a deleted GracefulApp with the same name, which the garbage collector will delete.
	Terminating []string
	// ForeignDisruptionBudget is the name of a PodDisruptionBudget of another owner that selects the app's pods, or "".
	ForeignDisruptionBudget string
	// Autoscaler is the name of a HorizontalPodAutoscaler that targets the Deployment instead of the GracefulApp, or "".
	Autoscaler string
	// Scaler is the field manager that has changed the replicas that the operator set in the Deployment, or "".
	Scaler string

	app *v1alpha1.GracefulApp
}

// Deleted lists the owned objects that are being deleted.
func (o Observed) Deleted() []string {
	var all []string
	add := func(kind string, m metav1.ObjectMeta) {
		if m.DeletionTimestamp != nil {
			all = append(all, kind+" "+m.Name)
		}
	}
	if o.Service != nil {
		add(serviceKind, o.Service.ObjectMeta)
	}
	if o.Deployment != nil {
		add(deploymentKind, o.Deployment.ObjectMeta)
	}
	if o.PodDisruptionBudget != nil {
		add(disruptionBudgetKind, o.PodDisruptionBudget.ObjectMeta)
	}
	return all
}

// HasLostReference reports whether an owned object has lost its owner reference.
func (o Observed) HasLostReference() bool {
	return o.Deployment != nil && hasLostReference(o.app, o.Deployment) || o.Service != nil && hasLostReference(o.app, o.Service) ||
		o.PodDisruptionBudget != nil && hasLostReference(o.app, o.PodDisruptionBudget)
}

func hasLostReference(app *v1alpha1.GracefulApp, object client.Object) bool {
	return metav1.GetControllerOfNoCopy(object) == nil && plan.Owns(app, object)
}

// Running returns the live state that the derivation reads.
func (o Observed) Running() plan.Running {
	running := plan.Running{Deployment: o.Deployment, Service: o.Service, Autoscaler: o.Autoscaler, ForeignDisruptionBudget: o.ForeignDisruptionBudget}
	if o.Deployment != nil {
		running.Applied = sync.OnceValue(func() *appsv1ac.DeploymentApplyConfiguration {
			last, err := lastApplied(o.Deployment)
			if err != nil { // the operator applies all fields again
				return nil
			}
			configuration, _ := last.(*appsv1ac.DeploymentApplyConfiguration)
			return configuration
		})
	}
	return running
}

// Kinds returns the kinds of objects that Observe reads.
func Kinds() []client.Object {
	return []client.Object{
		&appsv1.Deployment{}, &corev1.Service{}, &policyv1.PodDisruptionBudget{}, &autoscalingv2.HorizontalPodAutoscaler{},
	}
}

// Reader reads the objects that Observe needs.
type Reader struct {
	// Cache has the settings of CacheByObject and the indexes of IndexFields.
	Cache client.Reader
	// Live reads from the API server, because the cache does not have the whole of an object that an app may adopt.
	Live client.Reader
}

// Observe reads the live objects. The caller must not change them, because most of them are those of the cache.
func Observe(ctx context.Context, reader Reader, app *v1alpha1.GracefulApp) (Observed, error) {
	o := Observed{app: app}
	var err error
	if o.Deployment, err = observe[appsv1.Deployment](ctx, reader, &o); err != nil {
		return o, err
	}
	if o.Service, err = observe[corev1.Service](ctx, reader, &o); err != nil {
		return o, err
	}
	if o.ForeignDisruptionBudget, err = foreignDisruptionBudget(ctx, reader.Cache, app); err != nil {
		return o, err
	}
	if o.Autoscaler, err = autoscalerOfDeployment(ctx, reader.Cache, app); err != nil {
		return o, err
	}
	if o.Deployment != nil {
		o.Scaler = scalerOf(o.Deployment.ManagedFields)
	}
	if o.ForeignDisruptionBudget == app.Name {
		// The app needs no budget of its own, so this one is not reported as a foreign object.
		return o, nil
	}
	o.PodDisruptionBudget, err = observe[policyv1.PodDisruptionBudget](ctx, reader, &o)
	return o, err
}

// observe returns the object if the app owns or may adopt it, else nil. It adds an object of another owner to Foreign or Terminating.
func observe[T any, P objectPointer[T]](ctx context.Context, reader Reader, o *Observed) (P, error) {
	object, err := read[T, P](ctx, reader.Cache, o.app, client.UnsafeDisableDeepCopy)
	if object != nil && mayAdopt(o.app, object) {
		object, err = read[T, P](ctx, reader.Live, o.app)
	}
	if err != nil || object == nil {
		return nil, err
	}
	if plan.Owns(o.app, object) || mayAdopt(o.app, object) { // internal/plan checks whether the app can adopt it
		return object, nil
	}
	name, owner := object.GetObjectKind().GroupVersionKind().Kind+" "+o.app.Name, metav1.GetControllerOf(object)
	switch {
	case owner == nil:
		o.Foreign = append(o.Foreign, name+" (not controlled by anything)")
	case isTerminating(object, o.app):
		o.Terminating = append(o.Terminating, name)
	default:
		o.Foreign = append(o.Foreign, fmt.Sprintf("%s (controlled by %s %s)", name, owner.Kind, owner.Name))
	}
	return nil, nil
}

// objectPointer is the pointer to an object of type T.
type objectPointer[T any] interface {
	*T
	client.Object
}

// read returns the object with the app's name, or nil if there is none. It sets the kind, which neither a cache nor a client sets.
func read[T any, P objectPointer[T]](ctx context.Context, reader client.Reader, app *v1alpha1.GracefulApp, opts ...client.GetOption) (P, error) {
	object := P(new(T))
	gvk, err := apiutil.GVKForObject(object, clientgoscheme.Scheme)
	if err != nil {
		return nil, err
	}
	if err := reader.Get(ctx, client.ObjectKeyFromObject(app), object, opts...); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("reading %s %s: %w", gvk.Kind, app.Name, err)
	}
	object.GetObjectKind().SetGroupVersionKind(gvk)
	return object, nil
}

// mayAdopt reports whether the object has no controller, is not the app's own, and the app asks to adopt it.
func mayAdopt(app *v1alpha1.GracefulApp, object client.Object) bool {
	return plan.Adopts(app) && metav1.GetControllerOfNoCopy(object) == nil && !plan.Owns(app, object) && object.GetDeletionTimestamp().IsZero() &&
		!protectsOthers(app, object)
}

// protectsOthers reports whether the object is a PodDisruptionBudget with another selector than the app's, so that it may select other pods too.
func protectsOthers(app *v1alpha1.GracefulApp, object client.Object) bool {
	budget, ok := object.(*policyv1.PodDisruptionBudget)
	return ok && !apiequality.Semantic.DeepEqual(budget.Spec.Selector, &metav1.LabelSelector{MatchLabels: plan.SelectorLabels(app)})
}

// isTerminating reports whether the owner is an earlier GracefulApp with the app's name. It was deleted, so the garbage collector will delete the
// object.
func isTerminating(object client.Object, app *v1alpha1.GracefulApp) bool {
	owner := metav1.GetControllerOf(object)
	return owner != nil && owner.Kind == "GracefulApp" && owner.APIVersion == v1alpha1.GroupVersion.String() &&
		owner.Name == app.Name && owner.UID != app.UID
}
