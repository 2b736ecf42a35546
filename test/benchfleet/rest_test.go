package main

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// fleetSize is a number of apps that a platform team may have in one cluster.
const fleetSize = 200

// A manager program that restarts or rests must not write: with hundreds of apps, needless writes would load the API server and etcd.
func TestAFleetAtRestCausesNoWrite(t *testing.T) {
	manager := filepath.Join(t.TempDir(), "manager")
	if output, err := exec.CommandContext(t.Context(), "go", "build", "-o", manager, "github.com/gracefulapp/gracefulapp/cmd").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	// A loop of writes shows within 15 s, because a reconcile takes milliseconds.
	f, stop, err := startFleet(t.Context(), options{manager: manager, crds: "../../config/crd/bases", restTime: 15 * time.Second}, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	f.apps = makeApps(fleetSize, f.namespaces)
	for i, app := range f.apps {
		f.apps[i] = testapp.New(testapp.Everything, testapp.Name(app.Namespace, app.Name))
		f.apps[i].Spec.Service.Spec.Type = "" // two apps could want the same node port
	}
	var out operator
	run := func(name string, step func() error) {
		t.Helper()
		if err := step(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	ctx := t.Context()
	run("create", func() error { return f.create(ctx, &out) })
	run("settle", func() error { return f.settle(ctx, &out) })
	if out.CreateWrites < 4 || out.SettleWrites < 1 {
		t.Errorf("the counter must see the operator's writes: %+v", out)
	}
	for _, phase := range []string{"at rest", "at rest after a restart"} {
		before, err := f.operatorEvents(ctx)
		if err != nil {
			t.Fatal(err)
		}
		run("rest", func() error { return f.rest(ctx, &out) })
		if after, err := f.operatorEvents(ctx); err != nil || after != before || out.Rest.Writes > 0 {
			t.Errorf("%s: %.0f writes, %d events (%v), want none", phase, out.Rest.Writes, after-before, err)
		}
		if phase == "at rest" {
			run("restart", func() error { return f.restart(ctx, &out) })
			if out.Restart.Requests.Writes > 0 {
				t.Errorf("the restart: %.0f writes, want none", out.Restart.Requests.Writes)
			}
		}
	}
}
