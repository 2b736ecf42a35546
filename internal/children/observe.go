package children

import (
	"context"
	"fmt"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// Observed is what exists under the app's name. The three objects are ours or nil; what belongs to somebody else is in
// Foreign, as words.
type Observed struct {
	Deployment          *appsv1.Deployment
	Service             *corev1.Service
	PodDisruptionBudget *policyv1.PodDisruptionBudget
	// Foreign objects bear a child's name, for example "Service hello (not controlled by anything)".
	Foreign []string
	// Leaving are children of a deleted GracefulApp of the same name, which the garbage collector is about to remove.
	Leaving []string
	// ForeignDisruptionBudget is the name of a PodDisruptionBudget that selects the app's pods and is not ours; "" if
	// there is none.
	ForeignDisruptionBudget string
	// Autoscaler is the name of a HorizontalPodAutoscaler that scales the Deployment behind the GracefulApp's back; "" if
	// there is none.
	Autoscaler string
	// Scaler is the field manager that has set the Deployment's replicas to another number than the operator did; "" if
	// none has.
	Scaler string

	app *v1alpha1.GracefulApp
}

// HasLostReference tells whether one of the app's own objects has lost its owner reference.
func (o Observed) HasLostReference() bool {
	return o.Deployment != nil && hasLostReference(o.app, o.Deployment) || o.Service != nil && hasLostReference(o.app, o.Service) ||
		o.PodDisruptionBudget != nil && hasLostReference(o.app, o.PodDisruptionBudget)
}

func hasLostReference(app *v1alpha1.GracefulApp, object client.Object) bool {
	return metav1.GetControllerOfNoCopy(object) == nil && plan.Owns(app, object)
}

// Running returns the part that the derivation reads.
func (o Observed) Running() plan.Running {
	running := plan.Running{Deployment: o.Deployment, Service: o.Service, Autoscaler: o.Autoscaler, ForeignDisruptionBudget: o.ForeignDisruptionBudget}
	if o.Deployment != nil {
		running.Applied = sync.OnceValue(func() *appsv1ac.DeploymentApplyConfiguration {
			last, err := applied(o.Deployment)
			if err != nil { // they are applied anew
				return nil
			}
			configuration, _ := last.(*appsv1ac.DeploymentApplyConfiguration)
			return configuration
		})
	}
	return running
}

// Kinds are what Observe reads.
func Kinds() []client.Object {
	return []client.Object{
		&appsv1.Deployment{}, &corev1.Service{}, &policyv1.PodDisruptionBudget{}, &autoscalingv2.HorizontalPodAutoscaler{},
	}
}

// Observe reads the children, from the cache if that is what reader reads.
func Observe(ctx context.Context, reader client.Reader, app *v1alpha1.GracefulApp) (Observed, error) {
	o := Observed{app: app}
	var err error
	if o.Deployment, err = observe(ctx, reader, &appsv1.Deployment{}, &o); err != nil {
		return o, err
	}
	if o.Service, err = observe(ctx, reader, &corev1.Service{}, &o); err != nil {
		return o, err
	}
	if o.ForeignDisruptionBudget, err = foreignDisruptionBudget(ctx, reader, app); err != nil {
		return o, err
	}
	if o.Autoscaler, err = misledAutoscaler(ctx, reader, app); err != nil {
		return o, err
	}
	if o.Deployment != nil {
		o.Scaler = scalerOf(o.Deployment.ManagedFields)
	}
	if o.ForeignDisruptionBudget == app.Name {
		// It takes the place of ours, so its name is not in the way.
		return o, nil
	}
	o.PodDisruptionBudget, err = observe(ctx, reader, &policyv1.PodDisruptionBudget{}, &o)
	return o, err
}

// observe returns the object if it is ours and nil if it is absent or foreign.
func observe[T client.Object](ctx context.Context, reader client.Reader, object T, o *Observed) (T, error) {
	var none T
	app := o.app
	gvk, err := apiutil.GVKForObject(object, clientgoscheme.Scheme)
	if err != nil {
		return none, err
	}
	kind := gvk.Kind
	if err := reader.Get(ctx, client.ObjectKeyFromObject(app), object); err != nil {
		if apierrors.IsNotFound(err) {
			return none, nil
		}
		return none, fmt.Errorf("reading %s %s: %w", kind, app.Name, err)
	}
	object.GetObjectKind().SetGroupVersionKind(gvk) // a cache leaves it out
	if plan.Owns(app, object) {
		return object, nil
	}
	name, owner := kind+" "+app.Name, metav1.GetControllerOf(object)
	switch {
	case owner == nil && plan.Adopts(app) && object.GetDeletionTimestamp().IsZero():
		return object, nil // internal/plan says whether it can be
	case owner == nil:
		o.Foreign = append(o.Foreign, name+" (not controlled by anything)")
	case isLeaving(object, app):
		o.Leaving = append(o.Leaving, name)
	default:
		o.Foreign = append(o.Foreign, fmt.Sprintf("%s (controlled by %s %s)", name, owner.Kind, owner.Name))
	}
	return none, nil
}

// isLeaving: its owner had the app's name and is gone, so the garbage collector is on its way.
func isLeaving(object client.Object, app *v1alpha1.GracefulApp) bool {
	owner := metav1.GetControllerOf(object)
	return owner != nil && owner.Kind == "GracefulApp" && owner.APIVersion == v1alpha1.GroupVersion.String() &&
		owner.Name == app.Name && owner.UID != app.UID
}

func foreignDisruptionBudget(ctx context.Context, reader client.Reader, app *v1alpha1.GracefulApp) (string, error) {
	budgets := &policyv1.PodDisruptionBudgetList{}
	if err := reader.List(ctx, budgets, client.InNamespace(app.Namespace)); err != nil {
		return "", fmt.Errorf("listing PodDisruptionBudgets: %w", err)
	}
	for i := range budgets.Items {
		budget := &budgets.Items[i]
		if budget.Name == app.Name && plan.Adopts(app) && metav1.GetControllerOf(budget) == nil {
			continue
		}
		if !plan.Owns(app, budget) && !isLeaving(budget, app) && Selects(budget, app) {
			return budget.Name, nil
		}
	}
	return "", nil
}

// Selects tells whether a PodDisruptionBudget covers the app's pods.
func Selects(budget *policyv1.PodDisruptionBudget, app *v1alpha1.GracefulApp) bool {
	selector, err := metav1.LabelSelectorAsSelector(budget.Spec.Selector)
	// The API server accepts no selector that fails here, and one that it lets through selects nothing.
	return err == nil && selector.Matches(labels.Set(plan.PodLabels(app)))
}
