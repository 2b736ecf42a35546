package children

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/gracefulapp/gracefulapp/internal/plan"
)

func entry(manager string, operation metav1.ManagedFieldsOperationType, subresource, fields string) metav1.ManagedFieldsEntry {
	return metav1.ManagedFieldsEntry{
		Manager: manager, Operation: operation, Subresource: subresource, APIVersion: "apps/v1", FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(fields),
	}
}

func updates(manager, fields string) metav1.ManagedFieldsEntry {
	return entry(manager, metav1.ManagedFieldsOperationUpdate, "", fields)
}

func applies(manager, fields string) metav1.ManagedFieldsEntry {
	return entry(manager, metav1.ManagedFieldsOperationApply, "", fields)
}

func scales(manager string) metav1.ManagedFieldsEntry {
	return entry(manager, metav1.ManagedFieldsOperationUpdate, scaleSubresource, `{"f:spec":{"f:replicas":{}}}`)
}

const (
	paused    = `{"f:spec":{"f:paused":{}}}`
	replicas  = `{"f:spec":{"f:replicas":{}}}`
	both      = `{"f:spec":{"f:paused":{},"f:replicas":{}}}`
	reloaded  = `{"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"hello\"}":{"f:env":{"k:{\"name\":\"TRACE\"}":{".":{},"f:value":{}}}}}}}}}`
	restarted = `{"f:spec":{"f:template":{"f:metadata":{"f:annotations":{"f:kubectl.kubernetes.io/restartedAt":{}}}}}}`
)

func TestMoveFields(t *testing.T) {
	replicasOnly := fieldpath.NewSet(replicasPath)
	status := entry("kube-controller-manager", metav1.ManagedFieldsOperationUpdate, "status", `{"f:status":{"f:replicas":{}}}`)
	tests := []struct {
		name          string
		isTransferred func(metav1.ManagedFieldsEntry) bool
		// operator are the fields that the operator owns after the apply; nil moves the fields of all managers.
		operator *fieldpath.Set
		entries  []metav1.ManagedFieldsEntry
		// want is nil if no field moves.
		want []metav1.ManagedFieldsEntry
	}{
		{
			name: "an edit of an applied field takes the other spec fields of its manager along", isTransferred: isUpdate, operator: replicasOnly,
			entries: []metav1.ManagedFieldsEntry{applies(plan.FieldManager, replicas), updates("kubectl-edit", both)},
			want:    []metav1.ManagedFieldsEntry{applies(plan.FieldManager, both)},
		},
		{
			name: "a manager that owns no applied field keeps its fields", isTransferred: isUpdate, operator: replicasOnly,
			entries: []metav1.ManagedFieldsEntry{applies(plan.FieldManager, replicas), updates("reloader", reloaded)},
		},
		{
			name: "of two managers only the one with an applied field loses its fields", isTransferred: isUpdate, operator: replicasOnly,
			entries: []metav1.ManagedFieldsEntry{applies(plan.FieldManager, replicas), updates("reloader", reloaded), updates("kubectl-edit", both)},
			want:    []metav1.ManagedFieldsEntry{applies(plan.FieldManager, both), updates("reloader", reloaded)},
		},
		{
			name: "unknown applied fields move those of all managers", isTransferred: isUpdate,
			entries: []metav1.ManagedFieldsEntry{applies(plan.FieldManager, replicas), updates("kubectl-rollout", paused)},
			want:    []metav1.ManagedFieldsEntry{applies(plan.FieldManager, both)},
		},
		{
			name: "the operator gets an entry if all its fields were overwritten", isTransferred: isUpdate, operator: replicasOnly,
			entries: []metav1.ManagedFieldsEntry{status, updates("kubectl-edit", replicas)},
			want:    []metav1.ManagedFieldsEntry{status, applies(plan.FieldManager, replicas)},
		},
		{
			name: "labels, annotations and finalizers stay", isTransferred: isUpdate, operator: replicasOnly,
			entries: []metav1.ManagedFieldsEntry{updates("kubectl-edit",
				`{"f:metadata":{"f:finalizers":{"v:\"example.com/x\"":{}},"f:labels":{"f:team":{}}},"f:spec":{"f:replicas":{}}}`)},
			want: []metav1.ManagedFieldsEntry{
				updates("kubectl-edit", `{"f:metadata":{"f:finalizers":{"v:\"example.com/x\"":{}},"f:labels":{"f:team":{}}}}`),
				applies(plan.FieldManager, replicas),
			},
		},
		{
			name: "only labels", isTransferred: isUpdate,
			entries: []metav1.ManagedFieldsEntry{updates("kubectl-label", `{"f:metadata":{"f:labels":{"f:team":{}}}}`)},
		},
		{
			name: "the time of a restart stays", isTransferred: isUpdate,
			entries: []metav1.ManagedFieldsEntry{updates("kubectl-rollout",
				`{"f:spec":{"f:replicas":{},"f:template":{"f:metadata":{"f:annotations":{"f:kubectl.kubernetes.io/restartedAt":{}}}}}}`)},
			want: []metav1.ManagedFieldsEntry{updates("kubectl-rollout", restarted), applies(plan.FieldManager, replicas)},
		},
		{
			name: "a server-side apply and a scale of other managers stay", isTransferred: isUpdate,
			entries: []metav1.ManagedFieldsEntry{applies("argocd-controller", paused), scales("kube-controller-manager"), status},
		},
		{
			name: "an adoption moves them too, and not the status", isTransferred: isAdopted,
			entries: []metav1.ManagedFieldsEntry{applies("argocd-controller", paused), scales("kube-controller-manager"), status},
			want:    []metav1.ManagedFieldsEntry{status, applies(plan.FieldManager, both)},
		},
		{
			name: "an adoption does not move the operator's own fields", isTransferred: isAdopted,
			entries: []metav1.ManagedFieldsEntry{applies(plan.FieldManager, replicas)},
		},
		{
			name: "an entry that cannot be decoded stays", isTransferred: isUpdate,
			entries: []metav1.ManagedFieldsEntry{updates("unknown", `{"x:spec":{}}`), updates("kubectl-edit", replicas)},
			want:    []metav1.ManagedFieldsEntry{updates("unknown", `{"x:spec":{}}`), applies(plan.FieldManager, replicas)},
		},
		{
			name: "the operator's entry is replaced if it cannot be decoded", isTransferred: isUpdate,
			entries: []metav1.ManagedFieldsEntry{applies(plan.FieldManager, `{"x:spec":{}}`), updates("kubectl-edit", replicas)},
			want:    []metav1.ManagedFieldsEntry{applies(plan.FieldManager, replicas)},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			given := asText(t, tt.entries)
			got, moved, err := moveFields(tt.entries, tt.isTransferred, tt.operator)
			if err != nil {
				t.Fatal(err)
			}
			if moved != (tt.want != nil) {
				t.Errorf("moved = %v", moved)
			}
			if tt.want == nil {
				tt.want = tt.entries
			}
			if diff := cmp.Diff(asText(t, tt.want), asText(t, got)); diff != "" {
				t.Errorf("managed fields (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(given, asText(t, tt.entries)); diff != "" {
				t.Errorf("the given entries have changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestScaler(t *testing.T) {
	tests := []struct {
		name    string
		entries []metav1.ManagedFieldsEntry
		want    string
	}{
		{name: "the operator owns the replicas", entries: []metav1.ManagedFieldsEntry{applies(plan.FieldManager, replicas)}},
		{name: "an autoscaler has changed them", entries: []metav1.ManagedFieldsEntry{applies(plan.FieldManager, paused), scales("hpa")}, want: "hpa"},
		{name: "an autoscaler wrote the same number", entries: []metav1.ManagedFieldsEntry{scales("hpa"), applies(plan.FieldManager, replicas)}},
		{
			name:    "the operator has scaled since",
			entries: []metav1.ManagedFieldsEntry{applies(plan.FieldManager, paused), scales("hpa"), scales(plan.FieldManager)},
		},
		{name: "the Deployment is not adopted yet", entries: []metav1.ManagedFieldsEntry{updates("kubectl-create", both)}},
		{
			name:    "an entry that cannot be decoded",
			entries: []metav1.ManagedFieldsEntry{applies(plan.FieldManager, paused), updates("unknown", `{"x:spec":{}}`), updates("kubectl-edit", replicas)},
			want:    "kubectl-edit",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := scalerOf(tt.entries); got != tt.want {
				t.Errorf("scalerOf = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestRevertedManagers(t *testing.T) {
	tests := []struct {
		name          string
		before, after []metav1.ManagedFieldsEntry
		want          []string
	}{
		{
			name:   "an edit of an applied field",
			before: []metav1.ManagedFieldsEntry{applies(plan.FieldManager, paused), updates("kubectl-edit", replicas)},
			after:  []metav1.ManagedFieldsEntry{applies(plan.FieldManager, both)},
			want:   []string{"kubectl-edit"},
		},
		{
			name:   "two edits by one manager",
			before: []metav1.ManagedFieldsEntry{updates("kubectl-edit", replicas), scales("kubectl-edit"), updates("reloader", reloaded)},
			after:  []metav1.ManagedFieldsEntry{applies(plan.FieldManager, replicas), updates("reloader", reloaded)},
			want:   []string{"kubectl-edit"},
		},
		{
			name:   "an edit to the applied value",
			before: []metav1.ManagedFieldsEntry{applies(plan.FieldManager, paused), updates("kubectl-edit", replicas)},
			after:  []metav1.ManagedFieldsEntry{applies(plan.FieldManager, both), updates("kubectl-edit", replicas)},
		},
		{
			name:   "a field that the app no longer sets",
			before: []metav1.ManagedFieldsEntry{applies(plan.FieldManager, both), updates("kubectl-edit", paused)},
			after:  []metav1.ManagedFieldsEntry{applies(plan.FieldManager, replicas)},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, revertedManagers(tt.before, tt.after)); diff != "" {
				t.Errorf("managers (-want +got):\n%s", diff)
			}
		})
	}
}
