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

// Apply creates, updates and deletes until the children are as planned, and returns what it did; nothing, and no call to
// the API server, if they are so already. An error of one child does not hold the others up, with one exception: pods without a port that
// the live Service targets wait for the Service. It must not be called for a plan that came with field errors. The answers may be nil.
func Apply(ctx context.Context, c client.Client, p plan.Plan, o Observed, answers *Answers) ([]Change, error) {
	var changes []Change
	var errs []error
	for _, child := range childrenOf(p, o) {
		if child.kind == deploymentKind && slices.ContainsFunc(errs, isNotAltered) && losesTarget(p, o) {
			continue
		}
		child.answers = answers
		action := child.decide()
		change, err := child.act(ctx, c, action)
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

// act does what was decided, and returns what that has changed, nil if nothing.
func (c child) act(ctx context.Context, api client.Client, action Action) (*Change, error) {
	change := &Change{Action: action, Kind: c.kind, Name: c.name()}
	switch action {
	case Create:
		// With this resource version the API server creates what is absent and answers 409 for an object that exists: a foreign
		// object that the cache has not seen yet is never adopted.
		answer, err := c.apply(ctx, api, "1")
		if err != nil {
			return nil, fmt.Errorf("creating %s %s: %w", c.kind, c.name(), err)
		}
		return change, c.judge(answer)
	case Update:
		if last, ok := c.answers.find(c); ok {
			return nil, last.altered
		}
		version, err := takeOver(ctx, api, c)
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
		} else if !c.adopted { // an adoption reverts nothing
			change.By = reverted(c.object.GetManagedFields(), answer.GetManagedFields())
		}
		if err := c.judge(answer); err != nil {
			return nil, err // what a policy has altered is not restored
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

// apply sends the child and returns what the API server stored. With a resource version, an object that has another one is a conflict.
func (c child) apply(ctx context.Context, api client.Client, resourceVersion string, opts ...client.ApplyOption) (*unstructured.Unstructured, error) {
	want, err := c.configuration()
	if err != nil {
		return nil, err
	}
	want.SetResourceVersion(resourceVersion)
	return want, send(ctx, api, want, opts...)
}

// configuration is the wanted child. The UID of the observed object lets the apply fail rather than create, if the object was deleted
// meanwhile and another client has made a new one.
func (c child) configuration() (*unstructured.Unstructured, error) {
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

// send leaves the API server's answer in the configuration.
func send(ctx context.Context, api client.Client, want *unstructured.Unstructured, opts ...client.ApplyOption) error {
	opts = append(opts, client.FieldOwner(plan.FieldManager), client.ForceOwnership)
	return api.Apply(ctx, client.ApplyConfigurationFromUnstructured(want), opts...)
}

// judge returns an AlteredError if the API server's answer has not all that was applied, and remembers an answer that differs.
func (c child) judge(stored *unstructured.Unstructured) error {
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

func (c child) name() string {
	if c.object != nil {
		return c.object.GetName()
	}
	if c.metadata == nil {
		return ""
	}
	return *c.metadata.Name
}
