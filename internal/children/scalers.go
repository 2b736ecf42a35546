package children

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

var replicasPath = fieldpath.MakePathOrDie("spec", "replicas")

// scalerOf names the field manager that has set the replicas of a Deployment to another number than the operator did: it owns the field,
// and the operator, which has applied the Deployment, no longer does. A manager that wrote the same number owns it beside the operator.
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
	if !applied { // it is being adopted: the manager that made it set the replicas
		return ""
	}
	return scaler
}

// ScaledDeployment is the name of the Deployment that an autoscaler scales, "" if it scales something else.
func ScaledDeployment(a *autoscalingv2.HorizontalPodAutoscaler) string {
	target := a.Spec.ScaleTargetRef
	version, err := schema.ParseGroupVersion(target.APIVersion)
	if err != nil || version.Group != appsv1.GroupName || target.Kind != "Deployment" {
		return ""
	}
	return target.Name
}

func misledAutoscaler(ctx context.Context, reader client.Reader, app *v1alpha1.GracefulApp) (string, error) {
	all := &autoscalingv2.HorizontalPodAutoscalerList{}
	if err := reader.List(ctx, all, client.InNamespace(app.Namespace)); err != nil {
		return "", fmt.Errorf("listing HorizontalPodAutoscalers: %w", err)
	}
	for i := range all.Items {
		if ScaledDeployment(&all.Items[i]) == app.Name {
			return all.Items[i].Name, nil
		}
	}
	return "", nil
}
