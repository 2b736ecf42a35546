package children

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// Apply creates, updates and deletes the owned objects as the plan says, and returns the changes. It calls the API server only for objects that
// differ. If the write of one object fails, it continues with the next. There is one exception: after an error of the Service, it does not update the
// Deployment if the new pods lack a port that the live Service targets. Do not call it for a plan that has field errors. The answers may be nil.
func Apply(ctx context.Context, c client.Client, p plan.Plan, o Observed, answers *Answers) ([]Change, error) {
	var changes []Change
	var errs []error
	for _, object := range ownedObjects(p, o) {
		if object.kind == deploymentKind && slices.ContainsFunc(errs, isNotAltered) && removesTargetPort(p, o) {
			continue
		}
		object.answers = answers
		action := object.requiredAction()
		change, err := object.execute(ctx, c, action)
		if change != nil {
			changes = append(changes, *change)
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return changes, errors.Join(errs...)
}

// execute sends the write for the action and returns the change, or nil if the object did not change.
func (o ownedObject) execute(ctx context.Context, api client.Client, action Action) (*Change, error) {
	change := &Change{Action: action, Kind: o.kind, Name: o.name()}
	switch action {
	case Create:
		// With resource version "1", the API server creates the object, or answers 409 (Conflict) if it exists already. So the operator never
		// takes over an object of another owner that the cache does not show yet.
		answer, err := o.apply(ctx, api, "1")
		if err != nil {
			return nil, fmt.Errorf("creating %s %s: %w", o.kind, o.name(), err)
		}
		return change, o.checkAnswer(answer)
	case Update:
		if last, ok := o.answers.find(o); ok {
			return nil, last.altered
		}
		version, err := transferOwnership(ctx, api, o)
		if err != nil {
			return nil, err
		}
		if !o.mustBeCurrent {
			version = ""
		}
		answer, err := o.apply(ctx, api, version)
		if err != nil {
			return nil, fmt.Errorf("applying %s %s: %w", o.kind, o.name(), o.withAdvice(err))
		}
		if answer.GetResourceVersion() == o.live.GetResourceVersion() {
			change = nil
		} else if !o.adopted { // an adoption is not a revert
			change.By = revertedManagers(o.live.GetManagedFields(), answer.GetManagedFields())
		}
		if err := o.checkAnswer(answer); err != nil {
			return nil, err // a policy changed the object again, so nothing was reverted
		}
		return change, nil
	case Delete:
		uid := o.live.GetUID()
		if err := api.Delete(ctx, o.live, client.Preconditions{UID: &uid}); client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("deleting %s %s: %w", o.kind, o.name(), err)
		}
		return change, nil
	}
	return nil, nil
}

// apply sends the configuration and returns the stored object. If resourceVersion is set and the live object has another one, the API server
// answers with a conflict.
func (o ownedObject) apply(ctx context.Context, api client.Client, resourceVersion string, opts ...client.ApplyOption) (*unstructured.Unstructured, error) {
	want, err := o.configuration()
	if err != nil {
		return nil, err
	}
	want.SetResourceVersion(resourceVersion)
	return send(ctx, api, want, opts...)
}

// configuration returns a copy of the desired object, because send overwrites it. It has the UID of the observed object, so that the apply fails if that
// object was deleted or replaced by another client.
func (o ownedObject) configuration() (*unstructured.Unstructured, error) {
	want := &unstructured.Unstructured{}
	if err := plan.Convert(o.desired, want); err != nil {
		return nil, err
	}
	if o.live != nil {
		want.SetUID(o.live.GetUID())
	}
	return want, nil
}

// send applies the object and returns the stored one. The client writes the API server's answer into the object that it sends.
func send(ctx context.Context, api client.Client, want *unstructured.Unstructured, opts ...client.ApplyOption) (*unstructured.Unstructured, error) {
	opts = append(opts, client.FieldOwner(plan.FieldManager), client.ForceOwnership)
	return want, api.Apply(ctx, client.ApplyConfigurationFromUnstructured(want), opts...)
}

// checkAnswer returns an AlteredError if the stored object differs from the applied configuration, and remembers the answer if it differs.
func (o ownedObject) checkAnswer(stored *unstructured.Unstructured) error {
	given := answer{uid: stored.GetUID(), applied: o.desired}
	fields, err := differences(o.desired, stored)
	if err != nil {
		return err
	}
	if len(fields) > 0 {
		given.altered = &AlteredError{Kind: o.kind, Name: o.name(), Fields: fields}
	}
	if given.stored, err = lastApplied(stored); err == nil {
		o.answers.keep(o.kind, given)
	}
	return given.altered
}

func (o ownedObject) name() string {
	if o.live != nil {
		return o.live.GetName()
	}
	if o.metadata == nil {
		return ""
	}
	return *o.metadata.Name
}
