// Package webhook answers admission reviews of GracefulApps. The checks are in internal/plan; the API server checks the owned objects in dry runs.
package webhook

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/children"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// The match conditions skip the webhook for writes that cannot break an invariant: replicas, revisionHistoryLimit, metadata except the annotations
// of GracefulApp, and every write to an app that is terminating. So scaling works while the operator is down. config/policy has the same list,
// and a test compares both with the CRD.
//
// +kubebuilder:webhook:path=/validate-apps-gracefulapp-dev-v1alpha1-gracefulapp,mutating=false,failurePolicy=fail,sideEffects=None,timeoutSeconds=5,groups=apps.gracefulapp.dev,resources=gracefulapps,verbs=create;update,versions=v1alpha1,name=gracefulapps.apps.gracefulapp.dev,admissionReviewVersions=v1,patch=`{"matchConditions":[{"name":"spec-changed","expression":"request.operation == 'CREATE' || object.spec.?timing != oldObject.spec.?timing || object.spec.?template != oldObject.spec.?template || object.spec.?drain != oldObject.spec.?drain || object.spec.?service != oldObject.spec.?service || object.spec.?selector != oldObject.spec.?selector || object.spec.?commonMetadata != oldObject.spec.?commonMetadata || object.spec.?strategy != oldObject.spec.?strategy || object.spec.?progressDeadlineSeconds != oldObject.spec.?progressDeadlineSeconds || object.spec.?paused != oldObject.spec.?paused || object.metadata.?annotations[?'apps.gracefulapp.dev/adopt'] != oldObject.metadata.?annotations[?'apps.gracefulapp.dev/adopt'] || object.metadata.?annotations[?'apps.gracefulapp.dev/derivation'] != oldObject.metadata.?annotations[?'apps.gracefulapp.dev/derivation'] || object.metadata.?annotations[?'apps.gracefulapp.dev/drain-image'] != oldObject.metadata.?annotations[?'apps.gracefulapp.dev/drain-image']"},{"name":"not-being-deleted","expression":"!has(object.metadata.deletionTimestamp)"}]}`

// Validator rejects a GracefulApp that breaks an invariant and returns warnings about risky fields. It is called for writes of the object, not of
// the subresources scale and status.
type Validator struct {
	// Client reads from the cache and makes dry runs. If it is nil, the validator checks the spec only.
	Client client.Client
	// Live reads from the API server.
	Live client.Reader
	// NodePorts is the cluster's node port range. The zero value allows no node port.
	NodePorts utilnet.PortRange
	// DrainProxyImage is the image of new drain sidecars.
	DrainProxyImage string
}

var _ admission.Validator[*v1alpha1.GracefulApp] = Validator{}

// dryRunTimeout is shorter than the webhook's timeoutSeconds, 5, so that the response arrives in time.
const dryRunTimeout = 3 * time.Second

// Options are the webhook's parameters.
type Options struct {
	// Configuration is the name of the operator's ValidatingWebhookConfiguration.
	Configuration string
	// NodePorts is the cluster's node port range.
	NodePorts utilnet.PortRange
	// DrainProxyImage is the image of new drain sidecars.
	DrainProxyImage string
}

// SetupWithManager registers the webhook with the manager. The returned readiness check fails until the webhook answers reviews. Reviews include dry runs
// as soon as the leader has written the secret path. The manager's cache must have the indexes of children.IndexFields.
func SetupWithManager(ctx context.Context, mgr ctrl.Manager, o Options) (healthz.Checker, error) {
	// Start the informers on every replica. Otherwise only the leader's controller starts them, and the first review waits for the caches.
	for _, kind := range children.Kinds() {
		if _, err := mgr.GetCache().GetInformer(ctx, kind, cache.BlockUntilSynced(false)); err != nil {
			return nil, fmt.Errorf("watching %T: %w", kind, err)
		}
	}
	guard := &pathGuard{}
	synced, err := watchPaths(ctx, mgr, o.Configuration, guard)
	if err != nil {
		return nil, err
	}
	withoutDryRun := Validator{NodePorts: o.NodePorts, DrainProxyImage: o.DrainProxyImage}
	withDryRun := withoutDryRun
	withDryRun.Client, withDryRun.Live = mgr.GetClient(), mgr.GetAPIReader()
	server := mgr.GetWebhookServer()
	server.Register("/", guarded(guard, newWebhook(mgr.GetScheme(), withDryRun), newWebhook(mgr.GetScheme(), withoutDryRun)))
	check := func(r *http.Request) error {
		if !synced() {
			return errors.New("the operator has not read its ValidatingWebhookConfiguration yet")
		}
		return server.StartedChecker()(r)
	}
	return check, mgr.Add(&pathRotator{Client: mgr.GetClient(), name: o.Configuration, clock: clock.RealClock{}})
}

// ValidateCreate checks the spec and makes the dry runs.
func (v Validator) ValidateCreate(ctx context.Context, app *v1alpha1.GracefulApp) (admission.Warnings, error) {
	return v.validate(ctx, nil, app)
}

// ValidateUpdate checks the spec and the change, and makes the dry runs.
func (v Validator) ValidateUpdate(ctx context.Context, old, app *v1alpha1.GracefulApp) (admission.Warnings, error) {
	return v.validate(ctx, old, app)
}

// validate allows every write to a terminating app, so that its finalizers can be removed.
func (v Validator) validate(ctx context.Context, old, app *v1alpha1.GracefulApp) (admission.Warnings, error) {
	if !app.DeletionTimestamp.IsZero() {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, dryRunTimeout)
	defer cancel()
	observed, skipped := v.observe(ctx, app)
	running := observed.Running()
	running.DrainProxy = plan.DrainProxy{Image: v.DrainProxyImage, Token: rand.Text()} // only for the dry run
	p, errs, warnings := plan.For(app, running)
	errs = append(errs, plan.CheckNodePorts(app, v.NodePorts)...)
	errs = append(errs, plan.CheckRequestedDerivation(app)...)
	if len(errs) == 0 && old != nil {
		errs = plan.CheckChange(old, app, running)
	}
	switch {
	case len(errs) > 0:
		return warnings, invalid(app, errs)
	case len(skipped) > 0:
		return append(warnings, skipped...), nil
	}
	result := children.DryRun(ctx, v.Client, p, observed)
	return append(warnings, result.Warnings...), invalid(app, result.Errors)
}

// observe reads the live objects. If that fails or the validator has no client, it returns a warning that the dry run is skipped.
func (v Validator) observe(ctx context.Context, app *v1alpha1.GracefulApp) (children.Observed, admission.Warnings) {
	if v.Client == nil {
		return children.Observed{}, admission.Warnings{"the dry run was skipped, so the API server may still reject the owned objects; see the status"}
	}
	observed, err := children.Observe(ctx, children.Reader{Cache: v.Client, Live: v.Live}, app)
	if err != nil {
		return children.Observed{}, admission.Warnings{"the dry run failed, so the API server may still reject the owned objects: " + err.Error()}
	}
	return observed, nil
}

// ValidateDelete allows every deletion. The webhook is not registered for deletions.
func (Validator) ValidateDelete(context.Context, *v1alpha1.GracefulApp) (admission.Warnings, error) {
	return nil, nil
}

// invalid returns an error of the form that the API server gives its own validation errors, so that kubectl prints both alike.
func invalid(app *v1alpha1.GracefulApp, errs field.ErrorList) error {
	if len(errs) == 0 {
		return nil
	}
	kind := schema.GroupKind{Group: v1alpha1.GroupVersion.Group, Kind: "GracefulApp"}
	return apierrors.NewInvalid(kind, app.Name, errs)
}
