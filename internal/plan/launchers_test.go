package plan_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

const (
	shellKeepsIt          = "SIGTERM may reach the shell but not the server"
	packageManagerKeepsIt = "which may not forward SIGTERM to it"
)

// TestLaunchersThatKeepSIGTERM checks that only launchers that do not forward SIGTERM give a warning.
func TestLaunchersThatKeepSIGTERM(t *testing.T) {
	tests := []struct {
		command []string
		want    string // no warning if empty
	}{
		{[]string{"sh", "-c", "export A=1 && node Index.js"}, shellKeepsIt},
		{[]string{"/usr/bin/env", "bash", "-c", "node server.js"}, shellKeepsIt},
		{[]string{"env", "A=1", "-u", "node", "server.js"}, ""},
		{[]string{"/bin/bash", "-c", "set -e; migrate; gunicorn app.wsgi"}, shellKeepsIt},
		{[]string{"npm", "run", "start"}, packageManagerKeepsIt},
		{[]string{"yarn", "start"}, packageManagerKeepsIt},
		{[]string{"pnpm", "--filter", "api", "start"}, packageManagerKeepsIt},
		{[]string{"tini", "--", "npm", "start"}, packageManagerKeepsIt},
		{[]string{"/sbin/tini", "-v", "sh", "-c", "node server.js"}, shellKeepsIt},
		{[]string{"sh", "-c", "migrate && exec npm start"}, packageManagerKeepsIt},
		{[]string{"dumb-init", "--single-child", "npm", "start"}, packageManagerKeepsIt},
		{[]string{"tini", "-g", "--", "npm", "start"}, ""},
		{[]string{"dumb-init", "sh", "-c", "node server.js"}, ""},
		{[]string{"dumb-init", "npm", "start"}, ""},
		{[]string{"bash", "-lc", "exec node server.js"}, ""},
		{[]string{"/bin/sh", "/app/start.sh"}, ""},
		{[]string{"tini", "--", "node", "server.js"}, ""},
		{[]string{"env"}, ""},
		{[]string{"sh", "-c", "exec"}, shellKeepsIt},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.command, " "), func(t *testing.T) {
			_, errs, warnings := plan.For(testapp.New(func(app *v1alpha1.GracefulApp) { testapp.Container(app).Command = tt.command }), plan.Running{})
			switch {
			case len(errs) > 0:
				t.Fatal(errs)
			case tt.want == "" && len(warnings) > 0:
				t.Errorf("%v, want no warning", warnings)
			case tt.want != "" && (len(warnings) != 1 || !strings.Contains(warnings[0], tt.want)):
				t.Errorf("%v, want one warning that says %q", warnings, tt.want)
			}
		})
	}
}

// TestGRPCNeedsNoDrainEndpoint, also if a program in the image probes it.
func TestGRPCNeedsNoDrainEndpoint(t *testing.T) {
	for name, handler := range map[string]corev1.ProbeHandler{
		"Kubernetes":            {GRPC: &corev1.GRPCAction{Port: 8080}},
		"grpc_health_probe":     {Exec: &corev1.ExecAction{Command: []string{"/bin/grpc_health_probe", "-addr=:8080"}}},
		"a shell that calls it": {Exec: &corev1.ExecAction{Command: []string{"sh", "-c", "grpc-health-probe -addr=:8080"}}},
	} {
		_, errs, warnings := plan.For(testapp.New(func(app *v1alpha1.GracefulApp) {
			testapp.Container(app).ReadinessProbe.ProbeHandler = handler
			testapp.Container(app).Lifecycle = nil
		}), plan.Running{})
		if len(errs) > 0 || len(warnings) > 0 {
			t.Errorf("%s: errors %v, warnings %v, want none", name, errs, warnings)
		}
	}
}
