package plan_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

func further(c corev1.Container) testapp.Modifier {
	return func(app *v1alpha1.GracefulApp) {
		c.Name, c.Image = "proxy", "proxy:1"
		app.Spec.Template.Spec.Containers = append(app.Spec.Template.Spec.Containers, c)
	}
}

// The app may need a proxy to its database until its last answer.
func TestHookOfAFurtherContainer(t *testing.T) {
	exec := func(command ...string) *corev1.LifecycleHandler {
		return &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: command}}
	}
	for name, tt := range map[string]struct {
		hook   *corev1.LifecycleHandler
		warned bool
	}{
		"as long as t2":        {hook: exec("sleep", "5")},
		"longer than t2":       {hook: exec("sh", "-c", "flush; sleep 6")},
		"a sleep action":       {hook: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 5}}},
		"shorter than t2":      {hook: exec("sleep", "1"), warned: true},
		"without a wait":       {hook: exec("quit"), warned: true},
		"a call of its server": {hook: &corev1.LifecycleHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/quit"}}, warned: true},
	} {
		_, _, warnings := plan.For(testapp.New(further(corev1.Container{Lifecycle: &corev1.Lifecycle{PreStop: tt.hook}})), plan.Running{})
		if warned := strings.Contains(strings.Join(warnings, "\n"), "so the container may end before the app"); warned != tt.warned {
			t.Errorf("%s: warned: %t; warnings %q", name, warned, warnings)
		}
	}
}
