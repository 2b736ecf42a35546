package children

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// revertedManagers returns the field managers that lost a field to the operator, because an apply replaced their value. A manager that had written the
// applied value removes nothing and is not returned. The arguments are the managed fields before and after the apply.
func revertedManagers(before, after []metav1.ManagedFieldsEntry) []string {
	gained := entryFields(after, plan.IsApplied).Difference(entryFields(before, plan.IsApplied))
	var managers []string
	for _, e := range before {
		if e.Manager == plan.FieldManager || e.Subresource == "status" || e.FieldsV1 == nil {
			continue
		}
		had, err := fieldsOf(e)
		if err != nil {
			continue
		}
		kept := entryFields(after, func(a metav1.ManagedFieldsEntry) bool { return isSameWriter(a, e) })
		if !had.Leaves().Difference(kept).Intersection(gained).Empty() {
			managers = append(managers, e.Manager)
		}
	}
	slices.Sort(managers)
	return slices.Compact(managers)
}

func isSameWriter(a, b metav1.ManagedFieldsEntry) bool {
	return a.Manager == b.Manager && a.Operation == b.Operation && a.APIVersion == b.APIVersion && a.Subresource == b.Subresource
}

// entryFields returns the fields of the first entry for which isMeant is true. The set is empty if there is no such entry or it cannot be decoded.
func entryFields(entries []metav1.ManagedFieldsEntry, matches func(metav1.ManagedFieldsEntry) bool) *fieldpath.Set {
	i := slices.IndexFunc(entries, matches)
	if i < 0 || entries[i].FieldsV1 == nil {
		return &fieldpath.Set{}
	}
	fields, err := fieldsOf(entries[i])
	if err != nil {
		return &fieldpath.Set{}
	}
	return fields
}
