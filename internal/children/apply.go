package children

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// Apply creates, updates and deletes the owned objects as the plan says, and returns the changes. It calls the API server only for objects that
// differ. If one object fails, it continues with the others, with one exception: it does not update the Deployment after an error if the new pods
// lack a port that the live Service targets. Do not call it for a plan that has field errors. The answers may be nil.
func Apply(ctx context.Context, c client.Client, p plan.Plan, o Observed, answers *Answers) ([]Change, error) {
	var changes []Change
	var errs []error
	for _, object := range ownedObjects(p, o) {
		if object.kind == deploymentKind && slices.ContainsFunc(errs, isNotAltered) && removesTargetPort(p, o) {
			continue
		}
		object.answers = answers
		action := object.decide()
		change, err := object.act(ctx, c, action)
		if change != nil {
			changes = append(changes, *change)
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return changes, errors.Join(errs...)
}

func isNotAltered(err error) bool { return !errors.As(err, new(*AlteredError)) }

// act executes the action and returns the change, or nil if the object did not change.
func (c ownedObject) act(ctx context.Context, api client.Client, action Action) (*Change, error) {
	change := &Change{Action: action, Kind: c.kind, Name: c.name()}
	switch action {
	case Create:
		// Resource version "1" makes the API server create the object, or answer 409 (Conflict) if it exists already. So the operator never
		// adopts an object of another owner that the cache does not show yet.
		answer, err := c.apply(ctx, api, "1")
		if err != nil {
			return nil, fmt.Errorf("creating %s %s: %w", c.kind, c.name(), err)
		}
		return change, c.checkAnswer(answer)
	case Update:
		if last, ok := c.answers.find(c); ok {
			return nil, last.altered
		}
		version, err := transferOwnership(ctx, api, c)
		if err != nil {
			return nil, err
		}
		if !c.current {
			version = ""
		}
		answer, err := c.apply(ctx, api, version)
		if err != nil {
			return nil, fmt.Errorf("applying %s %s: %w", c.kind, c.name(), c.withWayOut(err))
		}
		if answer.GetResourceVersion() == c.object.GetResourceVersion() {
			change = nil
		} else if !c.adopted { // an adoption is not a revert
			change.By = reverted(c.object.GetManagedFields(), answer.GetManagedFields())
		}
		if err := c.checkAnswer(answer); err != nil {
			return nil, err // the policy's value is still stored, so nothing was reverted
		}
		return change, nil
	case Delete:
		uid := c.object.GetUID()
		if err := api.Delete(ctx, c.object, client.Preconditions{UID: &uid}); client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("deleting %s %s: %w", c.kind, c.name(), err)
		}
		return change, nil
	}
	return nil, nil
}

// apply sends the configuration and returns the stored object. If resourceVersion is set and the live object has another one, the API server
// answers with a conflict.
func (c ownedObject) apply(ctx context.Context, api client.Client, resourceVersion string, opts ...client.ApplyOption) (*unstructured.Unstructured, error) {
	want, err := c.configuration()
	if err != nil {
		return nil, err
	}
	want.SetResourceVersion(resourceVersion)
	return want, send(ctx, api, want, opts...)
}

// configuration returns the desired object. It has the UID of the observed object, so that the apply fails if that object was deleted
// or replaced by another client.
func (c ownedObject) configuration() (*unstructured.Unstructured, error) {
	data, err := json.Marshal(c.want)
	if err != nil {
		return nil, err
	}
	want := &unstructured.Unstructured{}
	if err := want.UnmarshalJSON(data); err != nil {
		return nil, err
	}
	if c.object != nil {
		want.SetUID(c.object.GetUID())
	}
	return want, nil
}

// send applies want and replaces its content with the API server's answer.
func send(ctx context.Context, api client.Client, want *unstructured.Unstructured, opts ...client.ApplyOption) error {
	opts = append(opts, client.FieldOwner(plan.FieldManager), client.ForceOwnership)
	return api.Apply(ctx, client.ApplyConfigurationFromUnstructured(want), opts...)
}

// checkAnswer returns an AlteredError if the stored object differs from the applied configuration, and remembers the answer if it differs.
func (c ownedObject) checkAnswer(stored *unstructured.Unstructured) error {
	given := answer{uid: stored.GetUID(), applied: c.want}
	fields, err := differences(c.want, stored)
	if err != nil {
		return err
	}
	if len(fields) > 0 {
		given.altered = &AlteredError{Kind: c.kind, Name: c.name(), Fields: fields}
	}
	if given.stored, err = applied(stored); err == nil {
		c.answers.keep(c.kind, given)
	}
	return given.altered
}

func (c ownedObject) name() string {
	if c.object != nil {
		return c.object.GetName()
	}
	if c.metadata == nil {
		return ""
	}
	return *c.metadata.Name
}
