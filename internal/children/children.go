// Package children reads and writes the objects that a GracefulApp owns: Observe reads the live objects, Apply changes them to match the plan
// that internal/plan computed. Apply uses server-side apply and never writes an object of another owner.
package children

import (
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// The kinds of the owned objects.
const (
	serviceKind          = "Service"
	deploymentKind       = "Deployment"
	disruptionBudgetKind = "PodDisruptionBudget"
)

// Action is the write that an owned object needs.
type Action string

// The actions. Wait means that the object is terminating; the operator creates a new one after it is deleted.
const (
	Nothing Action = ""
	Create  Action = "Created"
	Update  Action = "Updated"
	Delete  Action = "Deleted"
	Wait    Action = "Waiting"
)

// Change is a write that the operator made.
type Change struct {
	Action Action
	Kind   string
	Name   string
	// By lists the field managers that wrote the values that an update reverted. A manager that removed a field is missing, because it owns no field.
	By []string
}

// ownedObject is an owned object: its observed and its desired state. Apply handles Services, Deployments and PodDisruptionBudgets alike through it.
type ownedObject struct {
	kind string
	// live is the observed state, nil if the object does not exist.
	live client.Object
	// desired is the desired state, nil if the object must not exist; metadata is its metadata.
	desired  runtime.ApplyConfiguration
	metadata *metav1ac.ObjectMetaApplyConfiguration
	// adopted is true if the app does not own the object yet, and this apply adopts it.
	adopted bool
	// mustBeCurrent is true if the apply must fail when the object has changed since it was observed.
	mustBeCurrent bool

	answers *Answers
}

// The indexes of the owned objects, in the order in which users see them.
const (
	serviceIndex = iota
	deploymentIndex
	budgetIndex
	ownedCount
)

// ownedObjects returns the owned objects.
func ownedObjects(p plan.Plan, o Observed) [ownedCount]ownedObject {
	service := ownedObject{kind: serviceKind}
	if o.Service != nil {
		service.setLive(o.app, o.Service)
	}
	if p.Service != nil {
		service.desired, service.metadata = p.Service, p.Service.ObjectMetaApplyConfiguration
	}
	deployment := ownedObject{kind: deploymentKind}
	if o.Deployment != nil {
		deployment.setLive(o.app, o.Deployment)
		// The apply repeats two observed values: the replicas, if an autoscaler targets the Deployment, and the time of a restart. It must fail if
		// another client has changed them since.
		deployment.mustBeCurrent = deployment.mustBeCurrent || o.Autoscaler != "" || hasRestart(p)
	}
	if p.Deployment != nil {
		deployment.desired, deployment.metadata = p.Deployment, p.Deployment.ObjectMetaApplyConfiguration
	}
	budget := ownedObject{kind: disruptionBudgetKind}
	if o.PodDisruptionBudget != nil {
		budget.setLive(o.app, o.PodDisruptionBudget)
	}
	// Evictions of a pod fail if two PodDisruptionBudgets select it. So the operator creates none beside one of another owner.
	if p.PodDisruptionBudget != nil && o.ForeignDisruptionBudget == "" {
		budget.desired, budget.metadata = p.PodDisruptionBudget, p.PodDisruptionBudget.ObjectMetaApplyConfiguration
	}
	return [ownedCount]ownedObject{serviceIndex: service, deploymentIndex: deployment, budgetIndex: budget}
}

// setLive sets the live object. An adoption must not change a newer version, because the webhook and the plan checked this one.
func (o *ownedObject) setLive(app *v1alpha1.GracefulApp, object client.Object) {
	o.live = object
	o.adopted = !plan.Owns(app, object)
	o.mustBeCurrent = o.adopted
}

// hasRestart reports whether the plan contains the time of the last restart.
func hasRestart(p plan.Plan) bool {
	d := p.Deployment
	if d == nil || d.Spec == nil || d.Spec.Template == nil || d.Spec.Template.ObjectMetaApplyConfiguration == nil {
		return false
	}
	_, ok := d.Spec.Template.Annotations[plan.RestartedAt]
	return ok
}

// requiredAction compares the observed with the desired state. It needs no call to the API server, because metadata.managedFields of the cached object
// shows which configuration was applied last. If they cannot be decoded, it returns Update.
func (o ownedObject) requiredAction() Action {
	switch {
	case o.live == nil && o.desired == nil:
		return Nothing
	case o.live == nil:
		return Create
	case !o.live.GetDeletionTimestamp().IsZero():
		return Wait
	case o.desired == nil:
		return Delete
	}
	if o.answers.isEqual(o, o.isLastApplied) {
		return Nothing
	}
	return Update
}

// isLastApplied reports whether the configuration that the operator applied last is the desired one, and no other manager has overwritten it since.
func (o ownedObject) isLastApplied() bool {
	last, err := lastApplied(o.live)
	return err == nil && apiequality.Semantic.DeepEqual(last, o.desired)
}
