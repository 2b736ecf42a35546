package children

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// Apply creates, updates and deletes the owned objects as the plan says, and returns the changes. It calls the API server only for objects that
// differ. The Service comes before the Deployment: pods get the environment variables only of Services that exist when they start. After an error of
// the Service, it does not update the Deployment if the new pods lack a port that the live Service targets. The PodDisruptionBudget needs neither, so with
// atOnce its write runs at the same time; otherwise it is the last. Do not call Apply for a plan that has field errors. The answers may be nil.
func Apply(ctx context.Context, c client.Client, p plan.Plan, o Observed, answers *Answers, atOnce bool) ([]Change, error) {
	objects := ownedObjects(p, o)
	changes, errs := make([]*Change, len(objects)), make([]error, len(objects))
	apply := func(i int) {
		objects[i].answers = answers
		changes[i], errs[i] = objects[i].execute(ctx, c, objects[i].requiredAction())
	}
	applyServing := func() {
		apply(serviceIndex)
		if err := errs[serviceIndex]; err == nil || !isNotAltered(err) || !removesTargetPort(p, o) {
			apply(deploymentIndex)
		}
	}
	applyBudget := func() { apply(budgetIndex) }
	if atOnce {
		parallel(applyServing, applyBudget)
	} else {
		applyServing()
		applyBudget()
	}
	var made []Change
	for _, change := range changes {
		if change != nil {
			made = append(made, *change)
		}
	}
	return made, errors.Join(errs...)
}

// execute sends the write for the action and returns the change, or nil if the object did not change.
func (o ownedObject) execute(ctx context.Context, api client.Client, action Action) (*Change, error) {
	if action == Nothing || action == Wait {
		return nil, nil
	}
	if _, ok := o.answers.writeNotShown(o.kind, o.live); ok {
		return nil, o.answers.resultNotShown(o)
	}
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
		return o.update(ctx, api, change)
	case Delete:
		uid := o.live.GetUID()
		if err := api.Delete(ctx, o.live, client.Preconditions{UID: &uid}); client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("deleting %s %s: %w", o.kind, o.name(), err)
		}
		o.answers.keepWrite(o.kind, lastWrite{uid: uid, isDeleted: true})
		return change, nil
	}
	return nil, nil
}

// update applies an object that exists, and adds to the change what it reverts.
func (o ownedObject) update(ctx context.Context, api client.Client, change *Change) (*Change, error) {
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
	return want, asRejection(api.Apply(ctx, client.ApplyConfigurationFromUnstructured(want), opts...), want)
}

// checkAnswer returns an AlteredError if the stored object differs from the applied configuration, and remembers the answer if it differs.
func (o ownedObject) checkAnswer(stored *unstructured.Unstructured) error {
	o.answers.keepWrite(o.kind, lastWrite{uid: stored.GetUID(), resourceVersion: stored.GetResourceVersion()})
	given := answer{uid: stored.GetUID(), applied: o.desired}
	fields, err := differences(o.desired, stored)
	if err != nil {
		return err
	}
	if len(fields) > 0 {
		given.altered = &AlteredError{Kind: o.kind, Name: o.name(), Fields: fields}
	}
	if given.stored, err = lastApplied(stored); err == nil {
		o.answers.keep(o.kind, stored, given)
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
