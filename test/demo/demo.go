package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/load"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

// demo is one run of the demonstration.
type demo struct {
	options
	*testbed.Screen
	testbed *testbed.Testbed
	after   generations
	windows []load.Window
}

// run runs all parts of the demonstration in order.
func (d *demo) run(ctx context.Context) error {
	if err := d.testbed.Clear(ctx); err != nil {
		return err
	}
	if err := d.showRejection(ctx); err != nil {
		return err
	}
	if err := d.deploy(ctx); err != nil {
		return err
	}
	r, err := d.measure(ctx)
	if err != nil {
		return err
	}
	err = d.report(r)
	d.Say("%s", hints(d.cluster))
	return err
}

// showRejection applies a spec that would lose requests, and prints the error of the API server.
func (d *demo) showRejection(ctx context.Context) error {
	d.Title("1. A spec that would lose requests: t1 = 20 s, t2 = 5 s, t3 = 25 s")
	app := rejectedApp(d.workloadImage)
	err := d.testbed.Create(ctx, app)
	if err == nil {
		_ = d.testbed.Delete(ctx, app)
		return errors.New("the API server accepted the spec; install the CRD of this version (make deploy)")
	}
	d.Say("The API server answers:\n%s", testbed.Indent(err.Error(), d.Width()))
	if !strings.Contains(err.Error(), "t3 > t1 + t2") {
		return errors.New("the API server rejected the spec for another reason than t3 <= t1 + t2")
	}
	return nil
}

// deploy creates both workloads, waits until they are settled and prints the timing that the operator derived for the GracefulApp.
func (d *demo) deploy(ctx context.Context) error {
	d.Title(fmt.Sprintf("2. hello as a GracefulApp: it starts in %d s, its longest request takes %d s", startSeconds, requestSeconds))
	app := gracefulApp(d.workloadImage)
	deployment, service := plainDeployment(d.workloadImage)
	for _, object := range []client.Object{app, deployment, service} {
		if err := d.testbed.Create(ctx, object); err != nil {
			return fmt.Errorf("applying %s: %w", object.GetName(), err)
		}
	}
	d.after = generations{app: app.Generation, plain: deployment.Generation}
	start := time.Now()
	if err := d.settle(ctx, func(missing testbed.Pending) string { return "  waiting: " + string(missing) }); err != nil {
		return err
	}
	if err := d.testbed.Get(ctx, client.ObjectKeyFromObject(app), app); err != nil {
		return err
	}
	if app.Status.Timing == nil {
		return errors.New("the GracefulApp is Ready but has no status.timing")
	}
	d.Say("Ready after %.0f s. Each of its pods terminates like this:\n\n%s", time.Since(start).Seconds(), timeline(*app.Status.Timing))
	d.Say("\nFor comparison, %s runs the same image as a plain Deployment\nand Service, without probes and without a preStop hook. It closes its listener at\nSIGTERM, as most servers do.", plainName)
	return nil
}

// settle waits until both workloads are settled, and shows text as the progress line.
func (d *demo) settle(ctx context.Context, text func(missing testbed.Pending) string) error {
	return d.testbed.WaitFor(ctx, "both workloads to settle", 4*time.Minute, func(ctx context.Context) (testbed.Pending, error) {
		missing, err := settled(ctx, d.testbed, d.after)
		if missing != testbed.Done {
			d.Progress(text(missing))
		}
		return missing, err
	})
}

// step is a change of both workloads under load.
type step struct {
	phase, text, patch string
}

func steps() []step {
	scale := func(phase string, from, to int) step {
		return step{phase: phase, text: fmt.Sprintf("%s %d -> %d", phase, from, to), patch: fmt.Sprintf(`{"spec":{"replicas":%d}}`, to)}
	}
	return []step{
		scale(scaleUp, startReplicas, 5),
		scale(scaleDown, 5, 1),
		scale(scaleUp, 1, 3),
		{phase: rollout, text: "rollout of 3", patch: fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{"demo.gracefulapp.dev/rolled-out":%q}}}}}`,
			time.Now().UTC().Format(time.RFC3339Nano))},
	}
}

// steadyTime is the time of load without a change before each step and after the last.
const steadyTime = 3 * time.Second

// measure runs all steps on both workloads under load.
func (d *demo) measure(ctx context.Context) (result, error) {
	d.Title(fmt.Sprintf("3. %d requests per second to each, through 2 -> 5 -> 1 -> 3 pods and a rollout", ratePerWorkload))
	f, err := startFleet(ctx, d.testbed, d.loadgenImage)
	if f != nil {
		defer d.cleanUp(f)
	}
	if err != nil {
		return result{}, err
	}
	start := time.Now()
	for _, s := range steps() {
		if err := d.steady(ctx, f, time.Now().Add(steadyTime), 0); err != nil {
			return result{}, err
		}
		if err := d.runStep(ctx, f, s); err != nil {
			return result{}, err
		}
	}
	if err := d.steady(ctx, f, time.Now().Add(steadyTime), minimumRequests); err != nil {
		return result{}, err
	}
	took := time.Since(start)
	d.Progress("ending the load; requests in flight finish")
	if err := f.Stop(ctx); err != nil {
		return result{}, err
	}
	size, err := d.testbed.Size(ctx, d.cluster != "")
	if err != nil {
		return result{}, err
	}
	return result{
		When: start.UTC(), Seconds: int(took.Seconds()), Size: size,
		App:   collect(f.Generators, d.windows, appName, "GracefulApp "+appName),
		Plain: collect(f.Generators, d.windows, plainName, "plain Deployment "+plainName),
	}, nil
}

// cleanUp deletes the generators after success, failure or interruption, so it does not use the context of the run.
func (d *demo) cleanUp(f *testbed.Fleet) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := f.Remove(ctx); err != nil {
		d.Say("%v", err)
	}
}

// steady lets the load run until the given time, and until each workload has been sent the given number of requests.
func (d *demo) steady(ctx context.Context, f *testbed.Fleet, until time.Time, requests int) error {
	return d.testbed.WaitFor(ctx, fmt.Sprintf("%d requests to each", requests), 4*time.Minute, func(context.Context) (testbed.Pending, error) {
		d.Progress(liveLine(f, "steady load"))
		if time.Now().Before(until) || min(f.Count(appName+"/").Requests, f.Count(plainName+"/").Requests) < requests {
			return "more load", f.Failed()
		}
		return testbed.Done, f.Failed()
	})
}

// runStep patches both workloads and waits until they are settled. That time is the step's window.
func (d *demo) runStep(ctx context.Context, f *testbed.Fleet, s step) error {
	from := time.Now()
	patch := client.RawPatch(types.MergePatchType, []byte(s.patch))
	app := &v1alpha1.GracefulApp{}
	app.Namespace, app.Name = namespace, appName
	if err := d.testbed.Patch(ctx, app, patch); err != nil {
		return fmt.Errorf("%s: patching the GracefulApp: %w", s.text, err)
	}
	deployment, _ := plainDeployment(d.workloadImage)
	if err := d.testbed.Patch(ctx, deployment, patch); err != nil {
		return fmt.Errorf("%s: patching the plain Deployment: %w", s.text, err)
	}
	d.after = generations{app: app.Generation, plain: deployment.Generation}
	if err := d.settle(ctx, func(testbed.Pending) string { return liveLine(f, s.text) }); err != nil {
		return fmt.Errorf("%s: %w", s.text, err)
	}
	to := time.Now()
	d.windows = append(d.windows, load.Window{Name: s.phase, From: from, To: to})
	d.Say("  %-17s  settled after %3.0f s; lost so far: hello %s, naive %s", s.text, to.Sub(from).Seconds(),
		thousands(f.Count(appName+"/").Lost), thousands(f.Count(plainName+"/").Lost))
	return nil
}

func liveLine(f *testbed.Fleet, text string) string {
	app, naive := f.Count(appName+"/"), f.Count(plainName+"/")
	return fmt.Sprintf("  %-17s  hello %s sent, %s lost   naive %s sent, %s lost", text,
		thousands(app.Requests), thousands(app.Lost), thousands(naive.Requests), thousands(naive.Lost))
}

func (d *demo) report(r result) error {
	d.Title("4. Requests and losses")
	d.Say("%s", table(r))
	if late, all := r.App.Sum.Late+r.Plain.Sum.Late, r.App.Sum.Requests+r.Plain.Sum.Requests; late > 0 {
		d.Say("%s of %s requests were sent more than %s late, because the machine was busy.\nAll of them were sent.", thousands(late), thousands(all), load.LateAfter)
	}
	if err := write(r, d.options); err != nil {
		return err
	}
	faults := verdict(r)
	if len(faults) == 0 {
		d.Say("\nGracefulApp lost none of %s requests; the plain Deployment lost %s of %s.",
			thousands(r.App.Total.Requests), thousands(r.Plain.Total.lost()), thousands(r.Plain.Total.Requests))
		return nil
	}
	for _, loss := range r.App.examples {
		d.Say("lost: %s at %s after %s: %s %s", loss.Target, loss.Sent.Format(time.RFC3339Nano), loss.Latency, loss.Class, loss.Error)
	}
	return failure(r, faults)
}

func hints(cluster string) string {
	try := `
  kubectl -n %[1]s get gapp
  kubectl -n %[1]s patch gapp %[2]s --type merge -p '{"spec":{"replicas":5}}'
  kubectl -n %[1]s scale gapp %[2]s --replicas 1
  kubectl -n %[1]s get pods --watch
  kubectl -n %[1]s logs -l apps.gracefulapp.dev/name=%[2]s --prefix --follow
`
	text := fmt.Sprintf("\nTry next:"+try, namespace, appName)
	if cluster == "" {
		return text + fmt.Sprintf("Remove the demo: kubectl delete namespace %s; remove the operator: make undeploy", namespace)
	}
	return fmt.Sprintf("\nThe cluster keeps running. Use it: eval \"$(make -s cluster-env CLUSTER=%[1]s)\"", cluster) + text +
		fmt.Sprintf("Remove it: make cluster-down CLUSTER=%s", cluster)
}
