package children

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

var replicasPath = fieldpath.MakePathOrDie("spec", "replicas")

// scalerOf names who has written the replicas of a Deployment that we made. To apply ours takes the field from everybody else, so
// it is somebody who did so since.
func scalerOf(d *appsv1.Deployment) string {
	if d == nil {
		return ""
	}
	scaler, known := "", false
	for _, e := range d.ManagedFields {
		known = known || isOurs(e)
		if isOurs(e) || e.FieldsV1 == nil {
			continue
		}
		if fields, err := fieldsOf(e); err == nil && fields.Has(replicasPath) {
			scaler = e.Manager
		}
	}
	if !known { // it is being adopted: whoever has made it was right to
		return ""
	}
	return scaler
}

// ScaledDeployment is the name of the Deployment that an autoscaler scales, "" if it scales something else.
func ScaledDeployment(a *autoscalingv2.HorizontalPodAutoscaler) string {
	if target := a.Spec.ScaleTargetRef; target.Kind == "Deployment" {
		return target.Name
	}
	return ""
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
