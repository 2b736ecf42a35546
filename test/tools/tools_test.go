// Package tools_test checks that the tools that wait for a GracefulApp interpret its status correctly: kstatus (Flux, helm --wait, kpt) and Argo CD.
package tools_test

import (
	"os"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

const (
	// healthScript is the health check that Argo CD runs for every GracefulApp.
	healthScript = "../../config/argocd/health.lua"
	// statuses has the statuses of the controller's unit tests, by case.
	statuses = "../../controllers/testdata/statuses.yaml"
)

func TestToolsReadTheStatus(t *testing.T) {
	data, err := os.ReadFile(statuses)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]v1alpha1.GracefulAppStatus{}
	if err := yaml.UnmarshalStrict(data, &cases); err != nil || len(cases) < 20 {
		t.Fatalf("%d statuses, %v", len(cases), err)
	}
	for name, s := range cases {
		t.Run(name, func(t *testing.T) { checkTools(t, s) })
	}
}

func checkTools(t *testing.T, s v1alpha1.GracefulAppStatus) {
	t.Helper()
	wantStatus, wantHealth := status.InProgressStatus, "Progressing"
	ready := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionReady)
	switch {
	case meta.IsStatusConditionTrue(s.Conditions, v1alpha1.ConditionStalled):
		wantStatus, wantHealth = status.FailedStatus, "Degraded"
	case ready.Status == metav1.ConditionTrue:
		wantStatus, wantHealth = status.CurrentStatus, "Healthy"
	case ready.Reason == v1alpha1.ReasonPaused:
		wantHealth = "Suspended"
	}
	content := withStatus(t, s.ObservedGeneration, s)
	result, err := status.Compute(&unstructured.Unstructured{Object: content})
	if err != nil {
		t.Fatal(err)
	}
	if result.Status != wantStatus {
		t.Errorf("kstatus says %s (%s), want %s", result.Status, result.Message, wantStatus)
	}
	if health, message := argoHealth(t, content); health != wantHealth || message == "" {
		t.Errorf("Argo CD says %s (%s), want %s", health, message, wantHealth)
	}
}

func TestToolsWaitForAStatusOfThisSpec(t *testing.T) {
	for name, s := range map[string]v1alpha1.GracefulAppStatus{
		"no status yet": {},
		"a status of the spec before": {ObservedGeneration: 6, Conditions: []metav1.Condition{
			{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonAvailable},
		}},
	} {
		if health, message := argoHealth(t, withStatus(t, 7, s)); health != "Progressing" || message == "" {
			t.Errorf("%s: Argo CD says %s (%s), want Progressing", name, health, message)
		}
	}
}

// withStatus returns an app of two replicas. Its numbers are int64, as kstatus wants them.
func withStatus(t *testing.T, generation int64, s v1alpha1.GracefulAppStatus) map[string]any {
	t.Helper()
	app := &v1alpha1.GracefulApp{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "GracefulApp"},
		ObjectMeta: metav1.ObjectMeta{Name: "hello", Generation: generation},
		Spec:       v1alpha1.GracefulAppSpec{Replicas: new(int32(2))},
		Status:     s,
	}
	object := &unstructured.Unstructured{}
	if err := plan.Convert(app, object); err != nil {
		t.Fatal(err)
	}
	return object.Object
}

func argoHealth(t *testing.T, content map[string]any) (health, message string) {
	t.Helper()
	script, err := os.ReadFile(healthScript)
	if err != nil {
		t.Fatal(err)
	}
	state := lua.NewState()
	defer state.Close()
	state.SetGlobal("obj", luaValue(state, content))
	if err := state.DoString(string(script)); err != nil {
		t.Fatal(err)
	}
	result, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		t.Fatalf("%s returns %s, want a table", healthScript, state.Get(-1).Type())
	}
	return result.RawGetString("status").String(), result.RawGetString("message").String()
}

func luaValue(state *lua.LState, value any) lua.LValue {
	switch v := value.(type) {
	case map[string]any:
		table := state.NewTable()
		for key, item := range v {
			table.RawSetString(key, luaValue(state, item))
		}
		return table
	case []any:
		table := state.NewTable()
		for _, item := range v {
			table.Append(luaValue(state, item))
		}
		return table
	case string:
		return lua.LString(v)
	case bool:
		return lua.LBool(v)
	case int64:
		return lua.LNumber(v)
	case float64:
		return lua.LNumber(v)
	}
	return lua.LNil
}
