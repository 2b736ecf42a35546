// Package children brings the objects that a GracefulApp owns to what internal/plan says: Observe reads what exists under
// the app's name, Apply writes what differs. A child is written by server-side apply only, and one that belongs to
// somebody else never.
package children

import (
	"fmt"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	policyv1ac "k8s.io/client-go/applyconfigurations/policy/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// FieldManager is the owner of every field that the operator sets; kubectl shows it with --show-managed-fields.
const FieldManager = "gracefulapp"

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
}

// child pairs what exists with what shall exist. It hides the three types behind what Apply needs of them.
type child struct {
	kind string
	// object as observed; nil: it does not exist.
	object client.Object
	// want is nil if the child must not exist; metadata is its metadata, for preconditions.
	want     runtime.ApplyConfiguration
	metadata *metav1ac.ObjectMetaApplyConfiguration
	// current: it is applied only if it has not changed since it was observed.
	current bool
	// extract computes from the managed fields what we applied last.
	extract func() (runtime.ApplyConfiguration, error)
}

// childrenOf are in the order of creation: the Service before the pods that it will find.
func childrenOf(p plan.Plan, o Observed) []child {
	service := child{kind: "Service", extract: func() (runtime.ApplyConfiguration, error) {
		return corev1ac.ExtractService(o.Service, FieldManager)
	}}
	if o.Service != nil {
		service.object = o.Service
	}
	if p.Service != nil {
		service.want, service.metadata = p.Service, p.Service.ObjectMetaApplyConfiguration
	}
	// The replicas of an autoscaler that targets the Deployment are applied as they were observed, and the autoscaler may have changed them since.
	deployment := child{kind: "Deployment", current: o.Autoscaler != "", extract: func() (runtime.ApplyConfiguration, error) {
		return appsv1ac.ExtractDeployment(o.Deployment, FieldManager)
	}}
	if o.Deployment != nil {
		deployment.object = o.Deployment
	}
	if p.Deployment != nil {
		deployment.want, deployment.metadata = p.Deployment, p.Deployment.ObjectMetaApplyConfiguration
	}
	budget := child{kind: "PodDisruptionBudget", extract: func() (runtime.ApplyConfiguration, error) {
		return policyv1ac.ExtractPodDisruptionBudget(o.PodDisruptionBudget, FieldManager)
	}}
	if o.PodDisruptionBudget != nil {
		budget.object = o.PodDisruptionBudget
	}
	// Two budgets on one pod make every eviction fail, so somebody else's goes first.
	if p.PodDisruptionBudget != nil && o.ForeignDisruptionBudget == "" {
		budget.want, budget.metadata = p.PodDisruptionBudget, p.PodDisruptionBudget.ObjectMetaApplyConfiguration
	}
	return []child{service, deployment, budget}
}

// decide compares what exists with what shall exist, without asking the API server: the managed fields in the cached
// object tell what we applied.
func (c child) decide() (Action, error) {
	switch {
	case c.object == nil && c.want == nil:
		return Nothing, nil
	case c.object == nil:
		return Create, nil
	case !c.object.GetDeletionTimestamp().IsZero():
		return Wait, nil
	case c.want == nil:
		return Delete, nil
	}
	applied, err := c.extract()
	if err != nil {
		return Nothing, fmt.Errorf("reading the managed fields of %s %s: %w", c.kind, c.object.GetName(), err)
	}
	if apiequality.Semantic.DeepEqual(applied, c.want) {
		return Nothing, nil
	}
	return Update, nil
}
