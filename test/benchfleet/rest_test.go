package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/children"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// fleetSize is a number of apps that a platform team may have in one cluster.
const fleetSize = 200

// A manager program that restarts or rests must not write: with hundreds of apps, needless writes would load the API server and etcd.
func TestAFleetAtRestCausesNoWrite(t *testing.T) {
	manager := filepath.Join(t.TempDir(), "manager")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", manager, "./cmd")
	build.Dir = "../.." // the operator's module
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	// A loop of writes shows within 15 s, because a reconcile takes milliseconds.
	f, stop, err := startFleet(t.Context(), options{manager: manager, crds: "../../config/crd/bases", restTime: 15 * time.Second}, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { // not in Cleanup, before which the test's context ends
		if err := stop(); err != nil {
			t.Error(err)
		}
	}()
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
	run("the event that each app is available", func() error { return f.awaitAvailable(ctx) })
	if _, err := f.postedEvents(ctx); err != nil { // wait for the last event
		t.Fatal(err)
	}
	reasons, err := f.eventReasons(ctx)
	if err != nil {
		t.Fatal(err)
	}
	// On a starved machine the API server may not answer in time. The operator cancels such a write, logs it and repeats it, so the app has up to four
	// more writes, and more events: ApplyFailed, or a second one that objects were created.
	logged, err := f.manager.failedApps()
	if err != nil {
		t.Fatal(err)
	}
	failed := 0
	for _, app := range f.apps {
		of := reasons[app.Name]
		if logged[app.Name] {
			failed++
		} else if !slices.Equal(of, []string{v1alpha1.ReasonAvailable, string(children.Create)}) {
			t.Errorf("%s: events %v, want one that the objects were created, and one that the app is available", app.Name, of)
		}
	}
	if failed > 0 {
		t.Logf("the API server did not respond in time to a write of %d of %d apps", failed, fleetSize)
	}
	// On a busy machine the cache may show a write so late that the operator repeats it. After a failed write, one status may show two steps.
	share := float64(failed) / fleetSize
	tolerance := 0.5 + 4*share
	for _, count := range []struct {
		name      string
		got, want float64
	}{
		{name: "writes until the status is observed: three objects and a status", got: out.CreateWrites, want: 4},
		{name: "writes until the app is Ready: a status", got: out.SettleWrites, want: 1},
	} {
		if count.got < count.want-share || count.got > count.want+tolerance {
			t.Errorf("%.3f %s per app, want %.0f", count.got, count.name, count.want)
		}
	}
	for _, phase := range []string{"at rest", "at rest after a restart"} {
		before, err := f.postedEvents(ctx)
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

// awaitAvailable waits for the last event of each app. On a starved machine the recorder may pause for longer than postedEvents waits.
func (f *fleet) awaitAvailable(ctx context.Context) error {
	var missing []string
	err := wait.PollUntilContextTimeout(ctx, time.Second, 5*time.Minute, true, func(ctx context.Context) (bool, error) {
		reasons, err := f.eventReasons(ctx)
		if err != nil {
			return false, err
		}
		missing = missing[:0]
		for _, app := range f.apps {
			if of := reasons[app.Name]; !slices.Contains(of, v1alpha1.ReasonAvailable) {
				missing = append(missing, fmt.Sprint(app.Name, " has ", of))
			}
		}
		return len(missing) == 0, nil
	})
	if err != nil {
		return fmt.Errorf("%d of %d apps have no event %s: %q: %w", len(missing), len(f.apps), v1alpha1.ReasonAvailable, missing, err)
	}
	return nil
}

// failedApps returns the names of the apps for which the manager has logged an error.
func (p *process) failedApps() (map[string]bool, error) {
	text, err := os.ReadFile(p.log.Name())
	names := map[string]bool{}
	for line := range bytes.Lines(text) {
		entry := struct{ Level, Name string }{}
		if json.Unmarshal(line, &entry) == nil && entry.Level == "error" {
			names[entry.Name] = true
		}
	}
	return names, err
}

// postedEvents returns the number of the operator's events when it has stopped growing: the recorder posts events some time after the reconciles.
func (f *fleet) postedEvents(ctx context.Context) (int, error) {
	last, now := -1, 0
	err := wait.PollUntilContextTimeout(ctx, 2*time.Second, time.Minute, true, func(ctx context.Context) (stopped bool, err error) {
		last = now
		now, err = f.operatorEvents(ctx)
		return now == last, err
	})
	return now, err
}

// eventReasons returns the sorted reasons of the operator's events by app.
func (f *fleet) eventReasons(ctx context.Context) (map[string][]string, error) {
	list := &eventsv1.EventList{}
	err := f.List(ctx, list)
	reasons := map[string][]string{}
	for _, event := range list.Items {
		if event.ReportingController == operatorName {
			reasons[event.Regarding.Name] = append(reasons[event.Regarding.Name], event.Reason)
		}
	}
	for _, of := range reasons {
		slices.Sort(of)
	}
	return reasons, err
}
