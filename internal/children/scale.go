package children

import (
	"context"
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

const scaleSubresource = "scale"

// Scale writes the replicas of the Deployment. It is the first write of a reconcile, so that no other error delays scaling. It uses the scale
// subresource as an autoscaler does: admission webhooks and policies that select Deployments are not called, and it works even if the API server
// rejects the rest of the Deployment. It does not scale a Deployment that the app does not own, even if the app may adopt it.
//
// It returns the observed objects with the new number, and the change. The answers may be nil.
func Scale(ctx context.Context, c client.Client, app *v1alpha1.GracefulApp, o Observed, answers *Answers) (Observed, []Change, error) {
	d := o.Deployment
	if d == nil || !d.DeletionTimestamp.IsZero() || !plan.Owns(app, d) {
		return o, nil, nil
	}
	replicas := plan.Replicas(app, o.Running())
	if d.Spec.Replicas != nil && *d.Spec.Replicas == replicas {
		return o, nil, nil
	}
	if answers.isScaledTo(d, replicas) {
		o.Deployment = scaled(d, replicas)
		return o, nil, nil
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": d.UID}, // a conflict if another Deployment has the name now
		"spec":     map[string]any{"replicas": replicas},
	})
	if err != nil {
		return o, nil, err
	}
	answer := &autoscalingv1.Scale{}
	err = c.SubResource(scaleSubresource).Patch(ctx, d.DeepCopy(), client.RawPatch(types.MergePatchType, patch), client.FieldOwner(plan.FieldManager),
		&client.SubResourcePatchOptions{SubResourceBody: answer})
	if err != nil {
		return o, nil, fmt.Errorf("scaling Deployment %s: %w", d.Name, err)
	}
	answers.keepWrite(scaleKey, lastWrite{uid: d.UID, resourceVersion: answer.ResourceVersion, replicas: replicas})
	change := Change{Action: Update, Kind: deploymentKind, Name: d.Name}
	if o.Scaler != "" {
		change.By = []string{o.Scaler}
	}
	o.Deployment = scaled(d, replicas)
	return o, []Change{change}, nil
}

// scaled returns the Deployment with the new replicas. It keeps the old resource version, because other fields may have changed meanwhile.
func scaled(d *appsv1.Deployment, replicas int32) *appsv1.Deployment {
	d = d.DeepCopy()
	d.Spec.Replicas = &replicas
	d.ManagedFields = append(d.ManagedFields, metav1.ManagedFieldsEntry{
		Manager: plan.FieldManager, Operation: metav1.ManagedFieldsOperationUpdate, Subresource: scaleSubresource,
		FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:replicas":{}}}`),
	})
	return d
}

func isScaledByUs(e metav1.ManagedFieldsEntry) bool {
	return e.Manager == plan.FieldManager && e.Subresource == scaleSubresource && e.FieldsV1 != nil
}
