package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/test/lab"
	"github.com/gracefulapp/gracefulapp/test/lab/report"
	"github.com/gracefulapp/gracefulapp/test/load"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

// demo shows one run of the demonstration. It implements lab.DemoView.
type demo struct {
	options options
	screen  *testbed.Screen
	testbed *testbed.Testbed
	lab     *lab.Demo
}

// run shows all parts of the demonstration in order.
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
	d.screen.Say("")
	rate, err := d.lab.Calibrate(ctx)
	if err != nil {
		return err
	}
	d.screen.Title(fmt.Sprintf("3. %.0f requests per second to each, through 2 -> 5 -> 1 -> 3 pods and a rollout", rate))
	found, err := d.lab.Run(ctx)
	if err != nil {
		if s := found.Scenarios[0]; len(s.Workloads) > 0 { // a step may not have ended because the machine was too busy
			err = cmp.Or(failure(s), err)
		}
		return err
	}
	err = d.report(found)
	d.screen.Say("%s", hints(d.options.demo.Cluster))
	return err
}

// showRejection applies a spec that would lose requests, and prints the error of the API server.
func (d *demo) showRejection(ctx context.Context) error {
	d.screen.Title("1. A spec that would lose requests: t1 = 20 s, t2 = 5 s, t3 = 25 s")
	app := rejected(d.lab.App())
	err := d.testbed.Create(ctx, app)
	if err == nil {
		_ = d.testbed.Delete(ctx, app)
		return errors.New("the API server accepted the spec; install the CRD of this version (make deploy)")
	}
	d.screen.Say("The API server answers:\n%s", testbed.Indent(err.Error(), d.screen.Width()))
	if !strings.Contains(err.Error(), "t3 > t1 + t2") {
		return errors.New("the API server rejected the spec for another reason than t3 <= t1 + t2")
	}
	return nil
}

// rejected changes an app to t3 = t1 + t2: SIGKILL may come at the moment at which the last request ends.
func rejected(app *v1alpha1.GracefulApp) *v1alpha1.GracefulApp {
	app.Name = "too-short"
	app.Spec.Timing = v1alpha1.TimingSpec{
		StartupSeconds: 25, RequestSeconds: 5,
		ShutdownSeconds: new(int32(20)), PreStopSeconds: new(int32(5)), TerminationGracePeriodSeconds: new(int32(25)),
	}
	return app
}

// deploy deploys the workloads and prints the timing that the operator derived for the GracefulApp.
func (d *demo) deploy(ctx context.Context) error {
	timing := d.lab.App().Spec.Timing
	d.screen.Title(fmt.Sprintf("2. %s as a GracefulApp: it starts in %d s, its longest request takes %d s", lab.DemoApp, timing.StartupSeconds, timing.RequestSeconds))
	start := time.Now()
	app, err := d.lab.Deploy(ctx)
	if err != nil {
		return err
	}
	if app.Status.Timing == nil {
		return errors.New("the GracefulApp is Ready but has no status.timing")
	}
	d.screen.Say("Ready after %.0f s. Each of its pods terminates like this:\n\n%s", time.Since(start).Seconds(), timeline(*app.Status.Timing))
	d.screen.Say("\n%s runs the same image as a server that exits at SIGTERM at once. The drain\nsidecar in its pods keeps SIGTERM from it until no request is in flight.", lab.DemoSidecar)
	d.screen.Say("\nFor comparison, %s runs the same image as a plain Deployment\nand Service, without probes and without a preStop hook. It closes its listener at\nSIGTERM, as most servers do.", lab.DemoControl)
	return nil
}

// Live implements lab.DemoView.
func (d *demo) Live(step string, n lab.DemoCounts) string {
	lost := func(c load.Count) string { return report.Thousands(c.Lost) + "/" + report.Thousands(c.Requests) }
	return fmt.Sprintf("  %-17s  lost: hello %s, sidecar %s, naive %s", step, lost(n.App), lost(n.Sidecar), lost(n.Control))
}

// Settled implements lab.DemoView.
func (d *demo) Settled(step string, took time.Duration, n lab.DemoCounts) {
	d.screen.Say("  %-17s  settled after %3.0f s; lost: hello %s, sidecar %s, naive %s", step, took.Seconds(),
		report.Thousands(n.App.Lost), report.Thousands(n.Sidecar.Lost), report.Thousands(n.Control.Lost))
}

// report shows the table, the lost requests and the verdict, and writes the files that the flags name.
func (d *demo) report(found report.Run) error {
	s := found.Scenarios[0]
	app, sidecar, control := s.Workloads[0], s.Workloads[1], s.Workloads[2]
	d.screen.Title("4. Requests and losses")
	d.screen.Say("%s", table(found))
	if all := app.Total().Add(sidecar.Total()).Add(control.Total()); all.Late > 0 {
		d.screen.Say("%s of %s requests were sent more than %s late, because the machine was busy.\nAll of them were sent.",
			report.Thousands(all.Late), report.Thousands(all.Requests), load.LateAfter)
	}
	if err := write(found, d.options); err != nil {
		return err
	}
	for _, line := range append(lostLines(app), lostLines(sidecar)...) {
		d.screen.Say("%s", line)
	}
	if err := failure(s); err != nil {
		return err
	}
	d.screen.Say("\nGracefulApp lost none of %s requests, and none of %s with the drain sidecar;\nthe plain Deployment lost %s of %s.",
		report.Thousands(app.Total().Requests), report.Thousands(sidecar.Total().Requests),
		report.Thousands(control.Total().Lost), report.Thousands(control.Total().Requests))
	return nil
}

func hints(cluster string) string {
	try := `
  kubectl -n %[1]s get gapp
  kubectl -n %[1]s patch gapp %[2]s --type merge -p '{"spec":{"replicas":5}}'
  kubectl -n %[1]s scale gapp %[2]s --replicas 1
  kubectl -n %[1]s get pods --watch
  kubectl -n %[1]s logs -l apps.gracefulapp.dev/name=%[2]s --prefix --follow
`
	text := fmt.Sprintf("\nTry next:"+try, namespace, lab.DemoApp)
	if cluster == "" {
		return text + fmt.Sprintf("Remove the demo: kubectl delete namespace %s; remove the operator: make undeploy", namespace)
	}
	return fmt.Sprintf("\nThe cluster keeps running. Use it: eval \"$(make -s cluster-env CLUSTER=%[1]s)\"", cluster) + text +
		fmt.Sprintf("Remove it: make cluster-down CLUSTER=%s", cluster)
}
