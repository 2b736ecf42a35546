package fuzz

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// foreignWrite is another client's write to an owned object.
type foreignWrite struct {
	to    client.Object
	kind  types.PatchType
	patch string
}

// foreignWrites are by kubectl (annotate, edit, set, label, rollout restart), by tools that append, and by another manager's server-side apply.
var foreignWrites = map[string]foreignWrite{
	"annotate Service":    {to: &corev1.Service{}, kind: types.MergePatchType, patch: `{"metadata":{"annotations":{"example.com/owner":"shop"}}}`},
	"annotate Deployment": {to: &appsv1.Deployment{}, kind: types.MergePatchType, patch: `{"metadata":{"annotations":{"example.com/owner":"shop"}}}`},
	"annotate template": {
		to: &appsv1.Deployment{}, kind: types.MergePatchType, patch: `{"spec":{"template":{"metadata":{"annotations":{"example.com/owner":"shop"}}}}}`,
	},
	"apply Service": {
		to: &corev1.Service{}, kind: types.ApplyPatchType,
		patch: `{"apiVersion":"v1","kind":"Service","metadata":{"annotations":{"example.com/cost":"1"}},"spec":{"sessionAffinity":"ClientIP"}}`,
	},
	"set session affinity": {to: &corev1.Service{}, kind: types.MergePatchType, patch: `{"spec":{"sessionAffinity":"ClientIP"}}`},
	"add Service port": {
		to: &corev1.Service{}, kind: types.JSONPatchType, patch: `[{"op":"add","path":"/spec/ports/-","value":{"name":"more","port":9090}}]`,
	},
	"set target port": {
		to: &corev1.Service{}, kind: types.JSONPatchType, patch: `[{"op":"replace","path":"/spec/ports/0/targetPort","value":8081}]`,
	},
	"double a variable": {
		to: &appsv1.Deployment{}, kind: types.JSONPatchType,
		patch: `[{"op":"add","path":"/spec/template/spec/containers/0/env/-","value":{"name":"A","value":"2"}}]`,
	},
	"add container": {
		to: &appsv1.Deployment{}, kind: types.JSONPatchType,
		patch: `[{"op":"add","path":"/spec/template/spec/containers/-","value":{"name":"added","image":"added:1","ports":[{"name":"added","containerPort":7070}]}}]`,
	},
	"set hook": {
		to: &appsv1.Deployment{}, kind: types.JSONPatchType,
		patch: `[{"op":"replace","path":"/spec/template/spec/containers/0/lifecycle","value":{"preStop":{"exec":{"command":["true"]}}}}]`,
	},
	"set probe": {
		to: &appsv1.Deployment{}, kind: types.JSONPatchType,
		patch: `[{"op":"replace","path":"/spec/template/spec/containers/0/readinessProbe","value":{"exec":{"command":["true"]}}}]`,
	},
	"set volume": {
		to: &appsv1.Deployment{}, kind: types.StrategicMergePatchType,
		patch: `{"spec":{"template":{"spec":{"volumes":[{"name":"v0","hostPath":{"path":"/srv"}}]}}}}`,
	},
	"set strategy": {
		to: &appsv1.Deployment{}, kind: types.JSONPatchType, patch: `[{"op":"replace","path":"/spec/strategy","value":{"type":"Recreate"}}]`,
	},
	"restart": {
		to: &appsv1.Deployment{}, kind: types.MergePatchType,
		patch: `{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":"2030-01-01T00:00:00Z"}}}}}`,
	},
}

// perform the write on the app's object. Where the app has none of this kind, nothing is written.
func (w foreignWrite) perform(ctx context.Context, api client.Client, app *v1alpha1.GracefulApp) error {
	object := w.to.DeepCopyObject().(client.Object)
	object.SetNamespace(app.Namespace)
	object.SetName(app.Name)
	if err := api.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
		return client.IgnoreNotFound(err)
	}
	opts := []client.PatchOption{client.FieldOwner("another-client")}
	if w.kind == types.ApplyPatchType {
		opts = append(opts, client.ForceOwnership)
	}
	if err := api.Patch(ctx, object, client.RawPatch(w.kind, []byte(w.patch)), opts...); err != nil {
		return fmt.Errorf("%T: %w", w.to, err)
	}
	return nil
}
