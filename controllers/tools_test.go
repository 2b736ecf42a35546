package controllers

import (
	"os"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// healthScript is the health check that Argo CD runs for every GracefulApp.
const healthScript = "../config/argocd/health.lua"

// checkTools checks that the tools that wait for an app interpret its status correctly: kstatus (Flux, helm --wait, kpt) and Argo CD.
func checkTools(t *testing.T, app *v1alpha1.GracefulApp) {
	t.Helper()
	wantStatus, wantHealth := status.InProgressStatus, "Progressing"
	ready := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case meta.IsStatusConditionTrue(app.Status.Conditions, v1alpha1.ConditionStalled):
		wantStatus, wantHealth = status.FailedStatus, "Degraded"
	case ready.Status == metav1.ConditionTrue:
		wantStatus, wantHealth = status.CurrentStatus, "Healthy"
	case ready.Reason == v1alpha1.ReasonPaused:
		wantHealth = "Suspended"
	}
	content := asMap(t, app)
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
	app := &v1alpha1.GracefulApp{ObjectMeta: metav1.ObjectMeta{Name: "hello", Generation: 7}}
	for name, status := range map[string]v1alpha1.GracefulAppStatus{
		"no status yet": {},
		"a status of the spec before": {ObservedGeneration: 6, Conditions: []metav1.Condition{
			{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonAvailable},
		}},
	} {
		app.Status = status
		if health, message := argoHealth(t, asMap(t, app)); health != "Progressing" || message == "" {
			t.Errorf("%s: Argo CD says %s (%s), want Progressing", name, health, message)
		}
	}
}

func asMap(t *testing.T, app *v1alpha1.GracefulApp) map[string]any {
	t.Helper()
	app.TypeMeta = metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "GracefulApp"}
	// Not into a plain map: kstatus wants integers as integers.
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
