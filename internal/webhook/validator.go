// Package webhook answers admission requests for GracefulApps. It asks internal/plan and decides nothing itself.
package webhook

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// The match conditions let writes pass without the webhook that cannot break an invariant: replicas, labels, and whatever
// happens to an app that is being deleted. So scaling goes on while the operator is away.
//
// +kubebuilder:webhook:path=/validate-apps-gracefulapp-dev-v1alpha1-gracefulapp,mutating=false,failurePolicy=fail,sideEffects=None,timeoutSeconds=5,groups=apps.gracefulapp.dev,resources=gracefulapps,verbs=create;update,versions=v1alpha1,name=gracefulapps.apps.gracefulapp.dev,admissionReviewVersions=v1,patch=`{"matchConditions":[{"name":"spec-changed","expression":"request.operation == 'CREATE' || object.spec.?timing != oldObject.spec.?timing || object.spec.?template != oldObject.spec.?template || object.spec.?service != oldObject.spec.?service || object.spec.?selector != oldObject.spec.?selector"},{"name":"not-being-deleted","expression":"!has(object.metadata.deletionTimestamp)"}]}`

// Validator refuses a GracefulApp that breaks an invariant and warns about one that its owner may not have thought through.
// It sees writes of the object, not of its scale and status.
type Validator struct{}

var _ admission.Validator[*v1alpha1.GracefulApp] = Validator{}

// SetupWithManager serves the validator. It must not be called before the certificates are there.
func SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewWebhookManagedBy(mgr, &v1alpha1.GracefulApp{}).WithValidator(Validator{}).Complete()
}

// ValidateCreate checks the spec.
func (Validator) ValidateCreate(_ context.Context, app *v1alpha1.GracefulApp) (admission.Warnings, error) {
	_, errs, warnings := plan.For(app)
	return warnings, refusal(app, errs)
}

// ValidateUpdate checks the spec, and what an update may not do. An app that is being deleted is let through, or its
// finalizers could never be removed.
func (Validator) ValidateUpdate(_ context.Context, old, app *v1alpha1.GracefulApp) (admission.Warnings, error) {
	if !app.DeletionTimestamp.IsZero() {
		return nil, nil
	}
	_, errs, warnings := plan.For(app)
	if len(errs) == 0 {
		errs = plan.Change(old, app)
	}
	return warnings, refusal(app, errs)
}

// ValidateDelete lets every deletion pass; the webhook is not registered for it.
func (Validator) ValidateDelete(context.Context, *v1alpha1.GracefulApp) (admission.Warnings, error) {
	return nil, nil
}

// refusal has the form in which the API server itself refuses an object, so that kubectl prints it like any other.
func refusal(app *v1alpha1.GracefulApp, errs field.ErrorList) error {
	if len(errs) == 0 {
		return nil
	}
	kind := schema.GroupKind{Group: v1alpha1.GroupVersion.Group, Kind: "GracefulApp"}
	return apierrors.NewInvalid(kind, app.Name, errs)
}
