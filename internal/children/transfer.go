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

// restartedAt is the annotation that `kubectl rollout restart` writes. It is never transferred: its removal would start another rollout.
var restartedAt = fieldpath.MakePathOrDie("spec", "template", "metadata", "annotations", plan.RestartedAt)

// transferOwnership moves fields of other managers to the operator in metadata.managedFields, so that the next apply removes them: server-side apply
// removes only fields that its own manager applied before. It concerns managers that have overwritten a field of the operator by an update (kubectl
// edit, kubectl rollout undo). Managers that wrote only other fields (Reloader, injected labels) keep them. On adoption, it also moves applied
// fields and those of the scale subresource. It returns the new resource version of the object.
func transferOwnership(ctx context.Context, api client.Client, o ownedObject) (resourceVersion string, err error) {
	resourceVersion = o.live.GetResourceVersion()
	isTransferred := isUpdate
	if o.adopted {
		isTransferred = isAdopted
	}
	if !slices.ContainsFunc(o.live.GetManagedFields(), isTransferred) {
		return resourceVersion, nil
	}
	operatorFields, err := fieldsAfterApply(ctx, api, o)
	if apierrors.IsInvalid(err) {
		if err := o.dryRunAsNew(ctx, api); err != nil { // the operator's own configuration is invalid, so it transfers nothing
			return "", fmt.Errorf("applying %s %s (dry run under another name): %w", o.kind, o.name(), err)
		}
		// Fields of another manager conflict with the applied ones: after a rollback, for example, a hook has both preStop.sleep and
		// preStop.httpGet. The API server does not say which manager wrote the field, so the fields of all of them are transferred.
		operatorFields, err = nil, nil
	}
	if err != nil {
		return "", err
	}
	entries, moved, err := moveFields(o.live.GetManagedFields(), isTransferred, operatorFields)
	if err != nil {
		return "", fmt.Errorf("reading the managed fields of %s %s: %w", o.kind, o.name(), err)
	}
	if !moved {
		return resourceVersion, nil
	}
	patch, err := json.Marshal([]map[string]any{
		// The API server answers with a conflict if the version differs. For the operation "test" it would answer with an invalid request.
		{"op": "replace", "path": "/metadata/resourceVersion", "value": resourceVersion},
		{"op": "replace", "path": "/metadata/managedFields", "value": entries},
	})
	if err != nil {
		return "", err
	}
	object := o.live.DeepCopyObject().(client.Object)
	if err := api.Patch(ctx, object, client.RawPatch(types.JSONPatchType, patch)); err != nil {
		return "", fmt.Errorf("transferring the ownership of fields of %s %s: %w", o.kind, o.name(), err)
	}
	return object.GetResourceVersion(), nil
}

func isUpdate(e metav1.ManagedFieldsEntry) bool {
	return e.Operation == metav1.ManagedFieldsOperationUpdate && e.Subresource == "" && e.FieldsV1 != nil
}

// isAdopted reports whether an adoption transfers the entry: updates, the fields of `kubectl apply --server-side`, and the replicas that
// `kubectl scale` or an autoscaler wrote.
func isAdopted(e metav1.ManagedFieldsEntry) bool {
	applied := e.Operation == metav1.ManagedFieldsOperationApply && e.Subresource == ""
	return e.FieldsV1 != nil && !plan.IsApplied(e) && (isUpdate(e) || applied || e.Subresource == scaleSubresource)
}

// fieldsAfterApply returns the fields that the operator will own after the apply. It finds them by a dry run.
func fieldsAfterApply(ctx context.Context, api client.Client, o ownedObject) (*fieldpath.Set, error) {
	answer, err := o.apply(ctx, api, "", client.DryRunAll)
	if err != nil {
		return nil, fmt.Errorf("applying %s %s (dry run): %w", o.kind, o.name(), err)
	}
	return appliedFields(answer.GetManagedFields())
}

// moveFields moves the spec fields of other managers to the operator. It moves those of managers that own one of the fields in operatorFields, or of
// all of them if operatorFields is nil. Labels, annotations and finalizers stay with their managers. It is a pure function, so that a test needs no
// cluster.
func moveFields(
	entries []metav1.ManagedFieldsEntry, isTransferred func(metav1.ManagedFieldsEntry) bool, operatorFields *fieldpath.Set,
) ([]metav1.ManagedFieldsEntry, bool, error) {
	kept := []metav1.ManagedFieldsEntry{}
	var taken *metav1.ManagedFieldsEntry
	moved := &fieldpath.Set{}
	for _, e := range entries {
		if !isTransferred(e) {
			kept = append(kept, e)
			continue
		}
		fields, err := fieldsOf(e)
		movable := specFields(fields)
		if err != nil || movable.Empty() || operatorFields != nil && fields.Leaves().Intersection(operatorFields).Empty() {
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
	return addToOperator(kept, moved, *taken)
}

// specFields returns the fields under spec, without restartedAt.
func specFields(fields *fieldpath.Set) *fieldpath.Set {
	spec := &fieldpath.Set{}
	fields.Iterate(func(path fieldpath.Path) {
		if len(path) > 1 && path[0].Equals(restartedAt[0]) && !path.Equals(restartedAt) {
			spec.Insert(path.Copy())
		}
	})
	return spec
}

// addToOperator adds the moved fields to the operator's entry. If the operator has none, because all its fields were overwritten, it makes one
// from the entry taken.
func addToOperator(
	entries []metav1.ManagedFieldsEntry, moved *fieldpath.Set, taken metav1.ManagedFieldsEntry,
) ([]metav1.ManagedFieldsEntry, bool, error) {
	i := slices.IndexFunc(entries, plan.IsApplied)
	if i < 0 {
		i = len(entries)
		taken.Manager, taken.Operation, taken.Subresource = plan.FieldManager, metav1.ManagedFieldsOperationApply, ""
		taken.FieldsV1 = metav1.NewFieldsV1("{}")
		entries = append(entries, taken)
	}
	if fields, err := fieldsOf(entries[i]); err == nil { // an entry that cannot be decoded is replaced
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
