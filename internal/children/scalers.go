package children

import (
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/gracefulapp/gracefulapp/internal/plan"
)

var replicasPath = fieldpath.MakePathOrDie("spec", "replicas")

// scalerOf returns the field manager that has changed spec.replicas of a Deployment after the operator applied it. That manager owns the field
// and the operator does not. A manager that wrote the operator's number shares the ownership and is not returned.
func scalerOf(entries []metav1.ManagedFieldsEntry) string {
	scaler, applied := "", false
	for _, e := range entries {
		if e.FieldsV1 == nil {
			continue
		}
		fields, err := fieldsOf(e)
		owns := err == nil && fields.Has(replicasPath)
		switch {
		case (plan.IsApplied(e) || isScaledByUs(e)) && owns:
			return ""
		case plan.IsApplied(e):
			applied = true
		case owns:
			scaler = e.Manager
		}
	}
	if !applied { // before an adoption, the manager that created the Deployment owns the replicas
		return ""
	}
	return scaler
}

// ScaledDeployment returns the name of the Deployment that an autoscaler targets, or "" if it targets another kind.
func ScaledDeployment(a *autoscalingv2.HorizontalPodAutoscaler) string {
	target := a.Spec.ScaleTargetRef
	version, err := schema.ParseGroupVersion(target.APIVersion)
	if err != nil || version.Group != appsv1.GroupName || target.Kind != "Deployment" {
		return ""
	}
	return target.Name
}
