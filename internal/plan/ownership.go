package plan

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// FieldManager is the field manager of every field that the operator sets; kubectl shows it with --show-managed-fields.
const FieldManager = "gracefulapp"

// Owns reports whether a live object of the app's name is the app's own: the app controls it, or it has lost its owner reference (an edit, a
// restore from a backup) and its managed fields show that the operator applied it for this app. The objects of a deleted GracefulApp that
// were orphaned show an apply too, but one before the new app was created.
func Owns(app *v1alpha1.GracefulApp, object metav1.Object) bool {
	if owner := metav1.GetControllerOfNoCopy(object); owner != nil {
		return owner.UID == app.UID
	}
	return app.Status.Derivation != nil && slices.ContainsFunc(object.GetManagedFields(), func(e metav1.ManagedFieldsEntry) bool {
		return IsApplied(e) && e.Time != nil && !e.Time.Before(&app.CreationTimestamp)
	})
}

// IsApplied reports whether the entry of the managed fields is that of the operator's server-side apply.
func IsApplied(e metav1.ManagedFieldsEntry) bool {
	return e.Manager == FieldManager && e.Operation == metav1.ManagedFieldsOperationApply && e.Subresource == "" && e.FieldsV1 != nil
}
