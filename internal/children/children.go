// Package children reads and writes the objects that a GracefulApp owns: Observe reads the live objects, Apply changes them to match the plan
// that internal/plan computed. Apply uses server-side apply and never writes an object of another owner.
package children

import (
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
	// object is the observed state, nil if the object does not exist.
	object client.Object
	// want is the desired state, nil if the object must not exist; metadata is the metadata of want.
	want     runtime.ApplyConfiguration
	metadata *metav1ac.ObjectMetaApplyConfiguration
	// adopted is true if the app does not own the object yet and this apply adopts it.
	adopted bool
	// current is true if the apply must fail when the object has changed since it was observed.
	current bool

	answers *Answers
}

// ownedObjects returns the owned objects in the order of creation: the Service comes before the pods that it selects.
func ownedObjects(p plan.Plan, o Observed) []ownedObject {
	service := ownedObject{kind: serviceKind}
	if o.Service != nil {
		service.observe(o, o.Service)
	}
	if p.Service != nil {
		service.want, service.metadata = p.Service, p.Service.ObjectMetaApplyConfiguration
	}
	deployment := ownedObject{kind: deploymentKind}
	if o.Deployment != nil {
		deployment.observe(o, o.Deployment)
		// The apply repeats two observed values: the replicas, if an autoscaler targets the Deployment, and the time of a restart. It must fail if
		// another client has changed them since.
		deployment.current = deployment.current || o.Autoscaler != "" || hasRestart(p)
	}
	if p.Deployment != nil {
		deployment.want, deployment.metadata = p.Deployment, p.Deployment.ObjectMetaApplyConfiguration
	}
	budget := ownedObject{kind: disruptionBudgetKind}
	if o.PodDisruptionBudget != nil {
		budget.observe(o, o.PodDisruptionBudget)
	}
	// Evictions of a pod fail if two PodDisruptionBudgets select it. So the operator creates none beside one of another owner.
	if p.PodDisruptionBudget != nil && o.ForeignDisruptionBudget == "" {
		budget.want, budget.metadata = p.PodDisruptionBudget, p.PodDisruptionBudget.ObjectMetaApplyConfiguration
	}
	return []ownedObject{service, deployment, budget}
}

// observe sets the live object. An adoption must not change a newer version, because the webhook and the plan checked this one.
func (c *ownedObject) observe(o Observed, object client.Object) {
	c.object = object
	c.adopted = !plan.Owns(o.app, object)
	c.current = c.adopted
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

// decide compares the observed with the desired state without a call to the API server: metadata.managedFields of the cached object shows which
// configuration was applied last. If they cannot be read, it decides for an update.
func (c ownedObject) decide() Action {
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
