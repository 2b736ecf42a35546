package children

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// DryRunResult holds the API server's rejections of the owned objects, and the warnings for the user.
type DryRunResult struct {
	// Errors are the rejections by the API server, at the fields of the GracefulApp that cause them.
	Errors field.ErrorList
	// Warnings are problems that no change of the spec solves, and dry runs that failed.
	Warnings []string
}

// dryRunSuffix is appended to the name of an object for a dry run under an unused name. No object with the suffix is ever stored.
const dryRunSuffix = "-dry-run"

// DryRun sends the owned objects and a pod made from the template to the API server as dry runs, all at the same time, because the user waits. The pod is
// needed because the API server checks Pod Security and priority classes for pods only. Do not call it for a plan that has field errors.
func DryRun(ctx context.Context, api client.Client, p plan.Plan, o Observed) DryRunResult {
	result := DryRunResult{}
	for _, name := range o.Foreign {
		result.warn("%s already exists, and the operator does not change it; the operator creates nothing for this app until you delete or rename it", name)
	}
	objects := ownedObjects(p, o)
	errs := make([]error, len(objects))
	var podWarnings []string
	var podErr error
	dryRuns := []func(){func() { podWarnings, podErr = createPodDryRun(ctx, api, p) }}
	for i, object := range objects {
		if action := object.requiredAction(); action == Create || action == Update {
			dryRuns = append(dryRuns, func() { errs[i] = object.dryRun(ctx, api, len(o.Foreign) > 0 || len(o.Terminating) > 0) })
		}
	}
	parallel(dryRuns...)
	for i, object := range objects {
		result.add(p, object.kind, errs[i])
	}
	if len(result.Errors) > 0 { // the pod has the same errors again
		return result
	}
	result.add(p, podKind, podErr)
	result.Warnings = append(result.Warnings, podWarnings...)
	return result
}

// dryRun makes a dry run of the apply. It uses an unused name in three cases, because the error would not be caused by the spec: the name is taken;
// fields of another client conflict with the applied ones (Apply corrects that by transferOwnership); the owner of the object allows its deletion.
func (o ownedObject) dryRun(ctx context.Context, api client.Client, taken bool) error {
	if taken {
		return o.dryRunAsNew(ctx, api)
	}
	answer, err := o.apply(ctx, api, "", client.DryRunAll)
	switch {
	case o.live == nil:
		return err
	case err == nil:
		return o.checkDroppedFields(ctx, api, answer)
	case changesImmutable(err) && allowsDeletion(o.live),
		apierrors.IsInvalid(err) && !changesImmutable(err) && slices.ContainsFunc(o.live.GetManagedFields(), isUpdate):
		return o.dryRunAsNew(ctx, api)
	}
	return err
}

// checkDroppedFields checks an accepted update of a Service. If it changes the type, the API server drops the unchanged fields that the new type does not
// have (dropTypeDependentFields), and refuses them in the next update. It never drops them from a new Service.
func (o ownedObject) checkDroppedFields(ctx context.Context, api client.Client, answer *unstructured.Unstructured) error {
	if o.kind != serviceKind {
		return nil
	}
	dropped, err := differences(o.desired, answer)
	if err != nil || len(dropped) == 0 {
		return err
	}
	if err := o.dryRunAsNew(ctx, api); apierrors.IsInvalid(err) { // a quota or a policy may refuse another Service, and not this one
		return err
	}
	return nil
}

// dryRunAsNew makes a dry run of the apply under a fresh name, so that fields of other managers do not affect the result.
func (o ownedObject) dryRunAsNew(ctx context.Context, api client.Client) error {
	const longest = 63
	name, exists := o.name(), o.live != nil
	o.live = nil
	want, err := o.configuration()
	if err != nil {
		return err
	}
	fresh := name[:min(len(name), longest-len(dryRunSuffix))] + dryRunSuffix
	want.SetName(fresh)
	_, err = send(ctx, api, want, client.DryRunAll)
	if exists && err != nil && strings.Contains(err.Error(), "is already allocated") {
		return nil // the live Service has the port or the address; they are allocated after the validation
	}
	return withOriginalName(err, fresh, name)
}

// withOriginalName replaces the name of the dry run in the error by the object's own name, because the user does not know the other one.
func withOriginalName(err error, fresh, name string) error {
	known := apierrors.APIStatus(nil)
	if !errors.As(err, &known) {
		return err
	}
	given := known.Status()
	status := given.DeepCopy()
	status.Message = strings.ReplaceAll(status.Message, fresh, name)
	if status.Details != nil {
		status.Details.Name = name
		for i, cause := range status.Details.Causes {
			status.Details.Causes[i].Message = strings.ReplaceAll(cause.Message, fresh, name)
		}
	}
	return &apierrors.StatusError{ErrStatus: *status}
}

func (result *DryRunResult) warn(format string, args ...any) {
	result.Warnings = append(result.Warnings, fmt.Sprintf(format, args...))
}

// add adds an error of a dry run: to Errors if the spec causes it, else to Warnings.
func (result *DryRunResult) add(p plan.Plan, kind string, err error) {
	switch status := apierrors.APIStatus(nil); {
	case err == nil:
	case errors.As(err, &status) && isCausedBySpec(err):
		result.Errors = append(result.Errors, fieldErrors(p, kind, status.Status())...)
	case errors.As(err, &status) && isTransient(err):
		result.warn("the API server currently rejects the %s, and the operator will retry: %s", kind, status.Status().Message)
	default:
		result.warn("the dry run failed for the %s, so the API server may still reject it; see the status: %v", kind, err)
	}
}

// fieldErrors returns the API server's messages at the fields of the GracefulApp from which the rejected fields were derived.
func fieldErrors(p plan.Plan, kind string, status metav1.Status) field.ErrorList {
	var errs field.ErrorList
	if status.Details != nil {
		for _, cause := range status.Details.Causes {
			if cause.Field == "" || cause.Message == "" {
				continue
			}
			e := &field.Error{Type: field.ErrorType(cause.Type), Field: p.Source(kind, cause.Field), BadValue: field.OmitValueType{}}
			e.Detail = strings.TrimPrefix(strings.TrimPrefix(cause.Message, e.Type.String()), ": ")
			e.Detail += causeAdvice(p, kind, cause)
			errs = append(errs, e)
		}
	}
	if len(errs) == 0 {
		source, advice := p.Source(kind, ""), ""
		if kind == podKind {
			source, advice = p.PodRejection(status.Message)
		}
		errs = append(errs, &field.Error{
			Type: field.ErrorTypeForbidden, Field: source, Detail: "the API server rejects the " + kind + ": " + status.Message + advice,
		})
	}
	return errs
}

// causeAdvice returns the end of the message about a rejected field.
func causeAdvice(p plan.Plan, kind string, cause metav1.StatusCause) string {
	switch {
	case kind == serviceKind && isImmutable(cause):
		return recreationAdvice(p)
	case kind == podKind:
		return p.DefaultedLimit(cause.Field, cause.Message)
	}
	return ""
}
