package children

import (
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// allowsDeletion reports whether the owner of the object has prepared its deletion, after which the operator creates it again.
func allowsDeletion(object client.Object) bool {
	return object.GetAnnotations()[v1alpha1.AnnotationAllowDeletion] == "true"
}

// withAdvice adds the correction to an error about a Service with a field that cannot change.
func (o ownedObject) withAdvice(err error) error {
	if o.kind != serviceKind || !changesImmutable(err) {
		return err
	}
	namespace, name := o.live.GetNamespace(), o.live.GetName()
	return fmt.Errorf("%w; keep the value, or delete the Service (its address then changes): %s && %s", err,
		plan.AllowDeletion(namespace, name), plan.DeleteService(namespace, name))
}

// recreationAdvice returns the advice for a change of an immutable field that the webhook rejects. The user must
// annotate the Service first, because the operator creates a deleted Service again at once.
func recreationAdvice(p plan.Plan) string {
	namespace, name := *p.Service.Namespace, *p.Service.Name
	return fmt.Sprintf("; keep the value, or let the operator create the Service again (its address then changes): %s, then make this change again, then %s",
		plan.AllowDeletion(namespace, name), plan.DeleteService(namespace, name))
}
