package children

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// restartedAt is what `kubectl rollout restart` writes. It is kept whoever else's fields are taken over, because to drop it
// would be one more rollout.
var restartedAt = fieldpath.MakePathOrDie("spec", "template", "metadata", "annotations", plan.RestartedAt)

// takeOver moves the fields of everybody who has overwritten ours by an update (kubectl edit, kubectl rollout undo) into our
// managed fields, so that the apply that follows also removes what they added: server-side apply removes only what
// its own manager has applied before. Those who wrote other fields only (Reloader, injected labels) are left alone. On adoption,
// applied fields and those of the scale subresource are taken over too. It returns the resource version that the object has then.
func takeOver(ctx context.Context, api client.Client, c child) (resourceVersion string, err error) {
	resourceVersion = c.object.GetResourceVersion()
	theirs := isUpdate
	if c.adopted {
		theirs = isAdopted
	}
	if !slices.ContainsFunc(c.object.GetManagedFields(), theirs) {
		return resourceVersion, nil
	}
	ours, err := fieldsAfterApply(ctx, api, c)
	if apierrors.IsInvalid(err) {
		if err := c.tryFresh(ctx, api); err != nil { // no field of another manager is to blame, and an object that stays theirs is not written
			return "", fmt.Errorf("applying %s %s (dry run under another name): %w", c.kind, c.name(), err)
		}
		// What was written does not go together with what we apply: a rollback from preStop.sleep to httpGet leaves both. Which
		// of the writers is to blame the server does not say, so every one's fields are taken.
		ours, err = nil, nil
	}
	if err != nil {
		return "", err
	}
	entries, moved, err := moveFields(c.object.GetManagedFields(), theirs, ours)
	if err != nil {
		return "", fmt.Errorf("reading the managed fields of %s %s: %w", c.kind, c.name(), err)
	}
	if !moved {
		return resourceVersion, nil
	}
	patch, err := json.Marshal([]map[string]any{
		// Not a test: that would be answered as an invalid request, this as a conflict.
		{"op": "replace", "path": "/metadata/resourceVersion", "value": resourceVersion},
		{"op": "replace", "path": "/metadata/managedFields", "value": entries},
	})
	if err != nil {
		return "", err
	}
	object := c.object.DeepCopyObject().(client.Object)
	if err := api.Patch(ctx, object, client.RawPatch(types.JSONPatchType, patch)); err != nil {
		return "", fmt.Errorf("taking over fields of %s %s: %w", c.kind, c.name(), err)
	}
	return object.GetResourceVersion(), nil
}

func isUpdate(e metav1.ManagedFieldsEntry) bool {
	return e.Operation == metav1.ManagedFieldsOperationUpdate && e.Subresource == "" && e.FieldsV1 != nil
}

// isAdopted: on adoption, the fields of `kubectl apply --server-side` and the replicas of `kubectl scale` and of autoscalers go too.
func isAdopted(e metav1.ManagedFieldsEntry) bool {
	applied := e.Operation == metav1.ManagedFieldsOperationApply && e.Subresource == ""
	return e.FieldsV1 != nil && !plan.IsApplied(e) && (isUpdate(e) || applied || e.Subresource == scaleSubresource)
}

// fieldsAfterApply asks the API server, by a dry run, which fields our configuration will own.
func fieldsAfterApply(ctx context.Context, api client.Client, c child) (*fieldpath.Set, error) {
	answer, err := c.apply(ctx, api, "", client.DryRunAll)
	if err != nil {
		return nil, fmt.Errorf("applying %s %s (dry run): %w", c.kind, c.name(), err)
	}
	return appliedFields(answer.GetManagedFields())
}

// moveFields gives us what those own who have written any of our fields; all of them if ours is nil. Only the spec is moved:
// labels, annotations and finalizers that came with the same write are theirs. Pure, so that it can be tested without a
// cluster.
func moveFields(
	entries []metav1.ManagedFieldsEntry, theirs func(metav1.ManagedFieldsEntry) bool, ours *fieldpath.Set,
) ([]metav1.ManagedFieldsEntry, bool, error) {
	kept := []metav1.ManagedFieldsEntry{}
	var taken *metav1.ManagedFieldsEntry
	moved := &fieldpath.Set{}
	for _, e := range entries {
		if !theirs(e) {
			kept = append(kept, e)
			continue
		}
		fields, err := fieldsOf(e)
		movable := specFields(fields)
		if err != nil || movable.Empty() || ours != nil && fields.Leaves().Intersection(ours).Empty() {
			kept = append(kept, e)
			continue
		}
		moved = moved.Union(movable)
		if rest := fields.Difference(movable); !rest.Empty() {
			left := e
			if left.FieldsV1, err = fieldsV1(rest); err != nil {
				return nil, false, err
			}
			kept = append(kept, left)
		}
		taken = &e
	}
	if taken == nil {
		return entries, false, nil
	}
	return addToOurs(kept, moved, *taken)
}

// specFields are the fields under spec, without restartedAt.
func specFields(fields *fieldpath.Set) *fieldpath.Set {
	spec := &fieldpath.Set{}
	fields.Iterate(func(path fieldpath.Path) {
		if len(path) > 1 && path[0].Equals(restartedAt[0]) && !path.Equals(restartedAt) {
			spec.Insert(path.Copy())
		}
	})
	return spec
}

// addToOurs makes our entry from the one that was taken, if everything that we had applied was overwritten.
func addToOurs(
	entries []metav1.ManagedFieldsEntry, moved *fieldpath.Set, taken metav1.ManagedFieldsEntry,
) ([]metav1.ManagedFieldsEntry, bool, error) {
	i := slices.IndexFunc(entries, plan.IsApplied)
	if i < 0 {
		i = len(entries)
		taken.Manager, taken.Operation, taken.Subresource = plan.FieldManager, metav1.ManagedFieldsOperationApply, ""
		taken.FieldsV1 = metav1.NewFieldsV1("{}")
		entries = append(entries, taken)
	}
	if fields, err := fieldsOf(entries[i]); err == nil { // what cannot be read is overwritten
		moved = fields.Union(moved)
	}
	var err error
	entries[i].FieldsV1, err = fieldsV1(moved)
	return entries, true, err
}

func fieldsOf(e metav1.ManagedFieldsEntry) (*fieldpath.Set, error) {
	set := &fieldpath.Set{}
	return set, set.FromJSON(e.FieldsV1.GetRawReader())
}

func fieldsV1(set *fieldpath.Set) (*metav1.FieldsV1, error) {
	raw, err := set.ToJSON()
	return metav1.NewFieldsV1(string(raw)), err
}
