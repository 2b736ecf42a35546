package children

import (
	"context"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// Apply creates, updates and deletes until the children are as planned, and returns what it did; nothing, and no call to
// the API server, if they are so already. It stops at the first error, with what was done before; an AlteredError stops nothing. It
// must not be called for a plan that came with field errors.
func Apply(ctx context.Context, c client.Client, p plan.Plan, o Observed) ([]Change, error) {
	var changes []Change
	var altered error
	for _, child := range childrenOf(p, o) {
		action, err := child.decide()
		if err != nil {
			return changes, err
		}
		if action == Nothing {
			continue
		}
		changed, err := child.act(ctx, c, action)
		if isAltered := new(AlteredError); errors.As(err, &isAltered) {
			altered, err = errors.Join(altered, err), nil
		}
		if err != nil {
			return changes, errors.Join(altered, err)
		}
		if changed {
			changes = append(changes, Change{Action: action, Kind: child.kind, Name: child.name()})
		}
	}
	return changes, altered
}

// Scale passes only the number of replicas on, for a spec from which nothing else may be derived: an autoscaler must not be
// ignored because a rule was tightened. It applies what was applied before, with another number. A Deployment that the app does not
// control is not scaled, also if it may adopt it.
func Scale(ctx context.Context, c client.Client, app *v1alpha1.GracefulApp, o Observed) ([]Change, error) {
	if o.Deployment == nil || !o.Deployment.DeletionTimestamp.IsZero() || !metav1.IsControlledBy(o.Deployment, app) {
		return nil, nil
	}
	replicas := plan.Replicas(app, o.Running())
	if current := o.Deployment.Spec.Replicas; current != nil && *current == replicas {
		return nil, nil
	}
	applied, err := appsv1ac.ExtractDeployment(o.Deployment, FieldManager)
	if err != nil {
		return nil, fmt.Errorf("reading the managed fields of Deployment %s: %w", o.Deployment.Name, err)
	}
	if applied.Spec == nil {
		applied.WithSpec(appsv1ac.DeploymentSpec())
	}
	applied.Spec.WithReplicas(replicas)
	applied.WithUID(o.Deployment.UID).WithResourceVersion(o.Deployment.ResourceVersion)
	if err := c.Apply(ctx, applied, client.FieldOwner(FieldManager), client.ForceOwnership); err != nil {
		return nil, fmt.Errorf("scaling Deployment %s: %w", o.Deployment.Name, err)
	}
	return []Change{{Action: Update, Kind: "Deployment", Name: o.Deployment.Name}}, nil
}

// act tells whether anything changed: a policy that alters what we apply makes us apply it again and again, and the same
// object comes back.
func (c child) act(ctx context.Context, api client.Client, action Action) (changed bool, err error) {
	switch action {
	case Create:
		// With this resource version the API server creates what is absent and answers 409 for whatever exists: a foreign
		// object that the cache has not seen yet is never adopted.
		c.metadata.WithResourceVersion("1")
		return true, c.send(ctx, api, "creating")
	case Update:
		version, err := takeOver(ctx, api, c)
		if err != nil {
			return false, err
		}
		// The UID makes it fail rather than create if the object was deleted, and made again by somebody, meanwhile.
		wanted, err := asTree(c.want)
		if err != nil {
			return false, err
		}
		c.metadata.WithUID(c.object.GetUID())
		if c.current || metav1.GetControllerOf(c.object) == nil { // the adoption was checked against the observed object
			c.metadata.WithResourceVersion(version)
		}
		if err := c.send(ctx, api, "applying"); err != nil {
			return false, err
		}
		if answered := c.metadata.ResourceVersion; answered == nil || *answered != c.object.GetResourceVersion() {
			return true, nil
		}
		return false, c.altered(wanted)
	case Delete:
		uid := c.object.GetUID()
		if err := api.Delete(ctx, c.object, client.Preconditions{UID: &uid}); client.IgnoreNotFound(err) != nil {
			return false, fmt.Errorf("deleting %s %s: %w", c.kind, c.name(), err)
		}
	}
	return true, nil
}

// altered is an error if the API server's answer, which send has left in the configuration, is not what was wanted.
func (c child) altered(wanted any) error {
	fields, err := differences(wanted, c.want)
	if err != nil || len(fields) == 0 {
		return err
	}
	return &AlteredError{Kind: c.kind, Name: c.name(), Fields: fields}
}

// send leaves the API server's answer in the configuration.
func (c child) send(ctx context.Context, api client.Client, doing string) error {
	name := c.name()
	if err := api.Apply(ctx, c.want, client.FieldOwner(FieldManager), client.ForceOwnership); err != nil {
		return fmt.Errorf("%s %s %s: %w", doing, c.kind, name, err)
	}
	return nil
}

func (c child) name() string {
	if c.object != nil {
		return c.object.GetName()
	}
	return *c.metadata.Name
}
