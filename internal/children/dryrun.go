package children

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// Verdict is the API server's opinion of children that do not exist yet.
type Verdict struct {
	// Errors are what it refuses, by the GracefulApp's fields.
	Errors field.ErrorList
	// Warnings are for what no change of the spec heals, or what could not be asked.
	Warnings []string
}

// freshSuffix makes the name under which a child is tried whose own name is taken. Nothing of the name is ever stored.
const freshSuffix = "-dry-run"

// DryRun asks the API server, without storing anything, for its verdict on the children and on a pod made from the template: Pod
// Security and priority classes are checked there only. It must not be called for a plan that came with field errors.
func DryRun(ctx context.Context, api client.Client, p plan.Plan, o Observed) Verdict {
	v := Verdict{}
	for _, name := range o.Foreign {
		v.warn("%s is in the way and is not touched: nothing is made until it is deleted or renamed", name)
	}
	for _, child := range childrenOf(p, o) {
		var err error
		if action := child.decide(); action == Create || action == Update {
			err = child.tryOut(ctx, api, len(o.Foreign) > 0 || len(o.Leaving) > 0)
		}
		v.add(p, child.kind, err)
	}
	if len(v.Errors) > 0 { // the pod would only repeat them
		return v
	}
	pod, err := triedPod(p)
	sent := pod.DeepCopy()
	if err == nil {
		err = api.Create(ctx, pod, client.DryRunAll, client.FieldOwner(plan.FieldManager))
	}
	v.add(p, "Pod", err)
	if err == nil {
		v.Warnings = append(v.Warnings, p.AdmittedPod(sent.Spec, pod.Spec)...)
	}
	return v
}

// tryOut applies the child as it would be applied, as a dry run. What another client has written into a child need not go together
// with what we apply (takeOver sees to that), and a name that is taken says nothing about the spec: then it is tried under a fresh name.
func (c child) tryOut(ctx context.Context, api client.Client, taken bool) error {
	if taken {
		return c.tryFresh(ctx, api)
	}
	answer, err := c.apply(ctx, api, "", client.DryRunAll)
	switch {
	case c.object == nil:
		return err
	case err == nil:
		return c.tryDropped(ctx, api, answer)
	case changesImmutable(err) && allowsDeletion(c.object),
		apierrors.IsInvalid(err) && !changesImmutable(err) && slices.ContainsFunc(c.object.GetManagedFields(), isUpdate):
		return c.tryFresh(ctx, api)
	}
	return err
}

// tryDropped looks at an accepted update of a Service. If it changes the type, the API server drops the unchanged fields that the new type does not
// have (dropTypeDependentFields), and refuses them in the next update. It never drops them from a new Service.
func (c child) tryDropped(ctx context.Context, api client.Client, answer *unstructured.Unstructured) error {
	if c.kind != serviceKind {
		return nil
	}
	dropped, err := differences(c.want, answer)
	if err != nil || len(dropped) == 0 {
		return err
	}
	if err := c.tryFresh(ctx, api); apierrors.IsInvalid(err) { // a quota or a policy may refuse another Service, and not this one
		return err
	}
	return nil
}

// immutable are the API server's words for a field that an update may not change (ValidateImmutableField, ValidateServiceUpdate). A fresh object
// would be taken.
var immutable = []string{"field is immutable", "may not change once set", "can not be unset"}

func changesImmutable(err error) bool {
	status := apierrors.APIStatus(nil)
	if !errors.As(err, &status) || status.Status().Details == nil {
		return false
	}
	return slices.ContainsFunc(status.Status().Details.Causes, isImmutable)
}

func isImmutable(cause metav1.StatusCause) bool {
	return slices.ContainsFunc(immutable, func(words string) bool { return strings.Contains(cause.Message, words) })
}

// tryFresh applies the child under a fresh name, as a dry run, so that the verdict depends on no other field manager.
func (c child) tryFresh(ctx context.Context, api client.Client) error {
	const longest = 63
	name, exists := c.name(), c.object != nil
	c.object = nil
	want, err := c.configuration()
	if err != nil {
		return err
	}
	fresh := name[:min(len(name), longest-len(freshSuffix))] + freshSuffix
	want.SetName(fresh)
	err = send(ctx, api, want, client.DryRunAll)
	if exists && err != nil && strings.Contains(err.Error(), "is already allocated") {
		return nil // the live Service has the port or the address; they are allocated after the validation
	}
	return renamed(err, fresh, name)
}

// renamed is the error with the child's own name, the only one that the user knows.
func renamed(err error, fresh, name string) error {
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

func (v *Verdict) warn(format string, args ...any) {
	v.Warnings = append(v.Warnings, fmt.Sprintf(format, args...))
}

// add files an answer as an error of the spec or as a warning.
func (v *Verdict) add(p plan.Plan, kind string, err error) {
	switch status := apierrors.APIStatus(nil); {
	case err == nil:
	case errors.As(err, &status) && blamesSpec(err):
		v.Errors = append(v.Errors, refusals(p, kind, status.Status())...)
	case errors.As(err, &status) && passes(err):
		v.warn("the %s would be refused now, and is tried again later: %s", kind, status.Status().Message)
	default:
		v.warn("it could not be tried whether the API server takes the %s: %v", kind, err)
	}
}

// passes tells what somebody may heal without touching the spec, and often does a moment later: GitOps applies in any order.
func passes(err error) bool {
	message := err.Error()
	return apierrors.IsForbidden(err) && (strings.Contains(message, "exceeded quota") ||
		strings.Contains(message, "status unknown for quota") ||
		strings.Contains(message, "error looking up service account"))
}

// blamesSpec tells a refusal of what was written from trouble with asking.
func blamesSpec(err error) bool {
	message := err.Error()
	switch {
	case passes(err), strings.Contains(message, "does not support dry run"):
		return false
	case apierrors.IsForbidden(err):
		// Our own permissions, and a namespace that is going away.
		return !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) && !strings.Contains(message, "User \"system:serviceaccount:")
	}
	return apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsRequestEntityTooLargeError(err) ||
		strings.Contains(message, "denied the request") // admission webhooks choose any code
}

// refusals are the server's words, at the fields of the GracefulApp from which the refused ones come.
func refusals(p plan.Plan, kind string, status metav1.Status) field.ErrorList {
	var errs field.ErrorList
	if status.Details != nil {
		for _, cause := range status.Details.Causes {
			if cause.Field == "" || cause.Message == "" {
				continue
			}
			e := &field.Error{Type: field.ErrorType(cause.Type), Field: p.Source(kind, cause.Field), BadValue: field.OmitValueType{}}
			e.Detail = strings.TrimPrefix(strings.TrimPrefix(cause.Message, e.Type.String()), ": ")
			if kind == serviceKind && isImmutable(cause) {
				e.Detail += recreation(p)
			}
			errs = append(errs, e)
		}
	}
	if len(errs) == 0 {
		errs = append(errs, &field.Error{
			Type: field.ErrorTypeForbidden, Field: p.Source(kind, ""), Detail: "the API server refuses the " + kind + ": " + status.Message,
		})
	}
	return errs
}
