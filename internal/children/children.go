// Package children brings the objects that a GracefulApp owns to what internal/plan says: Observe reads what exists under
// the app's name, Apply writes what differs. A child is written by server-side apply only, and one that belongs to
// another owner never.
package children

import (
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// The kinds of the children.
const (
	serviceKind          = "Service"
	deploymentKind       = "Deployment"
	disruptionBudgetKind = "PodDisruptionBudget"
)

// Action is what has to be done to a child.
type Action string

// The actions. Wait: the child is on its way out, and what it should be can only be made when it is gone.
const (
	Nothing Action = ""
	Create  Action = "Created"
	Update  Action = "Updated"
	Delete  Action = "Deleted"
	Wait    Action = "Waiting"
)

// Change is an action that was taken.
type Change struct {
	Action Action
	Kind   string
	Name   string
	// By are the field managers whose writes an update reverts. A manager that removed a field owns nothing and is not named.
	By []string
}

// child pairs what exists with what shall exist. It hides the three types behind what Apply needs of them.
type child struct {
	kind string
	// object as observed; nil: it does not exist.
	object client.Object
	// want is nil if the child must not exist; metadata is its metadata.
	want     runtime.ApplyConfiguration
	metadata *metav1ac.ObjectMetaApplyConfiguration
	// adopted: the app does not own the object yet.
	adopted bool
	// current: it is applied only if it has not changed since it was observed.
	current bool

	answers *Answers
}

// childrenOf are in the order of creation: the Service before the pods that it will find.
func childrenOf(p plan.Plan, o Observed) []child {
	service := child{kind: serviceKind}
	if o.Service != nil {
		service.observe(o, o.Service)
	}
	if p.Service != nil {
		service.want, service.metadata = p.Service, p.Service.ObjectMetaApplyConfiguration
	}
	deployment := child{kind: deploymentKind}
	if o.Deployment != nil {
		deployment.observe(o, o.Deployment)
		// The replicas of an autoscaler that targets the Deployment, and the time of a restart, are applied as they were observed, and another client may
		// have changed them since.
		deployment.current = deployment.current || o.Autoscaler != "" || hasRestart(p)
	}
	if p.Deployment != nil {
		deployment.want, deployment.metadata = p.Deployment, p.Deployment.ObjectMetaApplyConfiguration
	}
	budget := child{kind: disruptionBudgetKind}
	if o.PodDisruptionBudget != nil {
		budget.observe(o, o.PodDisruptionBudget)
	}
	// Two budgets on one pod make every eviction fail, so the budget of another owner goes first.
	if p.PodDisruptionBudget != nil && o.ForeignDisruptionBudget == "" {
		budget.want, budget.metadata = p.PodDisruptionBudget, p.PodDisruptionBudget.ObjectMetaApplyConfiguration
	}
	return []child{service, deployment, budget}
}

// observe sets the live object. An adoption was checked against it as it is.
func (c *child) observe(o Observed, object client.Object) {
	c.object = object
	c.adopted = !plan.Owns(o.app, object)
	c.current = c.adopted
}

// hasRestart tells whether the time of the last restart is applied.
func hasRestart(p plan.Plan) bool {
	d := p.Deployment
	if d == nil || d.Spec == nil || d.Spec.Template == nil || d.Spec.Template.ObjectMetaApplyConfiguration == nil {
		return false
	}
	_, ok := d.Spec.Template.Annotations[plan.RestartedAt]
	return ok
}

// decide compares what exists with what shall exist, without asking the API server: the managed fields in the cached
// object tell what was applied. If they cannot be read, the object is applied all the same.
func (c child) decide() Action {
	switch {
	case c.object == nil && c.want == nil:
		return Nothing
	case c.object == nil:
		return Create
	case !c.object.GetDeletionTimestamp().IsZero():
		return Wait
	case c.want == nil:
		return Delete
	}
	if last, err := applied(c.object); err == nil && apiequality.Semantic.DeepEqual(last, c.want) {
		return Nothing
	}
	return Update
}
