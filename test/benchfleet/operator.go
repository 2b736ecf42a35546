package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/test/proc"
)

// operator has the figures of the manager program.
type operator struct {
	Create        float64  `json:"createSeconds"`  // from the first creation of an app until the status of each app is observed
	Patch         float64  `json:"patchSeconds"`   // from the first patch of an app's replicas until all Deployments have them
	CreateWrites  float64  `json:"createWrites"`   // per app, without the user's creation, until the status is observed
	SettleWrites  float64  `json:"settleWrites"`   // per app, after its Deployment became available, until it is Ready
	FailedWrites  float64  `json:"failedWrites"`   // per app, in both: writes that the API server refused
	Events        float64  `json:"events"`         // per app, in both
	CPUSeconds    float64  `json:"cpuSeconds"`     // per app, in both
	PeakRSS       float64  `json:"peakRSS"`        // MB, in both
	Rest          requests `json:"rest"`           // in options.restTime without a change
	RestCPU       float64  `json:"restCPUSeconds"` // in options.restTime without a change
	Restart       restart  `json:"restart"`
	ReleasedLease float64  `json:"releasedLeaseSeconds"` // from SIGTERM to the leader until the next leader has changed a Deployment
	ExpiredLease  float64  `json:"expiredLeaseSeconds"`  // the same from SIGKILL
}

// restart has the figures of a manager that starts beside stored apps.
type restart struct {
	Seconds  float64  `json:"seconds"` // from the start of the program until its queue is empty
	Requests requests `json:"requests"`
	RSS      float64  `json:"rss"`     // MB, when the queue is empty
	PeakRSS  float64  `json:"peakRSS"` // MB, until the queue is empty
	CPU      float64  `json:"cpuSeconds"`
}

// fleet is a control plane with apps and a manager.
type fleet struct {
	*controlPlane
	options
	dir        string // for files of the managers
	namespaces []string
	apps       []*v1alpha1.GracefulApp
	manager    *process
	// before and eventsBefore are read when the measured apps are created.
	before       proc.Usage
	eventsBefore int
	leader       *process // the other manager while replaceLeader has two
}

// measureOperator measures the manager program on a control plane of its own.
func measureOperator(ctx context.Context, o options, n, namespaces int) (out operator, err error) {
	f, stop, err := startFleet(ctx, o, namespaces)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	f.apps = makeApps(n, f.namespaces)
	for _, step := range []struct {
		name string
		do   func(context.Context, *operator) error
	}{
		{name: "create", do: f.create},
		{name: "settle", do: f.settle},
		{name: "patch", do: f.patch},
		{name: "rest", do: f.rest},
		{name: "restart", do: f.restart},
		{name: "change of the leader", do: f.changeLeader},
	} {
		if err := step.do(ctx, &out); err != nil {
			return out, fmt.Errorf("%d apps in %d namespaces: %s: %w", n, namespaces, step.name, err)
		}
	}
	return out, nil
}

// startFleet starts a control plane with namespaces and a manager that has handled some apps that are not measured. The caller adds the apps.
func startFleet(ctx context.Context, o options, namespaces int) (*fleet, func() error, error) {
	c, err := startControlPlane(o.crds)
	if err != nil {
		return nil, nil, err
	}
	f := &fleet{controlPlane: c, options: o}
	stop := func() error { return errors.Join(f.stopManager(), c.stop(), os.RemoveAll(f.dir)) }
	if f.dir, err = os.MkdirTemp("", "benchfleet-"); err != nil {
		return nil, nil, errors.Join(err, stop())
	}
	if f.namespaces, err = c.createNamespaces(ctx, "apps", namespaces); err != nil {
		return nil, nil, errors.Join(err, stop())
	}
	if err := f.startFirst(ctx); err != nil {
		return nil, nil, errors.Join(err, stop())
	}
	return f, stop, nil
}

func (f *fleet) stopManager() error {
	var errs []error
	for _, p := range []*process{f.leader, f.manager} {
		if p != nil {
			errs = append(errs, p.end(syscall.SIGTERM))
		}
	}
	f.leader, f.manager = nil, nil
	return errors.Join(errs...)
}

// startFirst starts the manager and waits until it has handled the apps of the warm-up.
func (f *fleet) startFirst(ctx context.Context) (err error) {
	flags := []string{"--pprof-bind-address=" + f.pprof}
	if f.webhook {
		webhookFlags, err := f.installWebhook(ctx)
		if err != nil {
			return err
		}
		flags = append(flags, webhookFlags...)
	}
	if f.manager, err = startManager(ctx, f.options, f.controlPlane, f.dir, flags...); err != nil {
		return err
	}
	if f.webhook {
		if err := f.awaitWebhook(ctx); err != nil {
			return fmt.Errorf("waiting for the webhook: %w", err)
		}
	}
	for _, app := range warmUpApps(f.namespaces[0]) {
		if err := f.Create(ctx, app); err != nil {
			return err
		}
		err := poll(ctx, func() (bool, error) {
			err := f.Get(ctx, client.ObjectKeyFromObject(app), app)
			return isObserved(app), errors.Join(err, f.manager.check())
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// create creates the apps and waits until the operator has observed each.
func (f *fleet) create(ctx context.Context, out *operator) error {
	before, err := f.requests(ctx)
	if err != nil {
		return err
	}
	if f.before, err = f.manager.usage(); err != nil {
		return err
	}
	if f.eventsBefore, err = f.operatorEvents(ctx); err != nil {
		return err
	}
	observed, err := f.await(ctx, &v1alpha1.GracefulAppList{}, len(f.apps), isObserved)
	if err != nil {
		return err
	}
	start := time.Now()
	if _, err := forEach(ctx, f.apps, func(ctx context.Context, app *v1alpha1.GracefulApp) error { return f.Create(ctx, app) }); err != nil {
		return err
	}
	if out.Create, err = observed.since(start, f.manager); err != nil {
		return err
	}
	n, err := f.perApp(ctx, before, len(f.apps))
	out.CreateWrites, out.FailedWrites = n.Writes, n.Failed
	return err
}

// settle plays the Deployment controller, and waits until each app is Ready.
func (f *fleet) settle(ctx context.Context, out *operator) error {
	before, err := f.requests(ctx)
	if err != nil {
		return err
	}
	if err := f.rollOut(ctx, startReplicas, 1); err != nil {
		return err
	}
	n, err := f.perApp(ctx, before, len(f.apps))
	if err != nil {
		return err
	}
	out.SettleWrites, out.FailedWrites = n.Writes, out.FailedWrites+n.Failed
	events, err := f.operatorEvents(ctx)
	if err != nil {
		return err
	}
	out.Events = float64(events-f.eventsBefore) / float64(len(f.apps))
	used, err := f.manager.usage()
	out.CPUSeconds, out.PeakRSS = (used.CPUSeconds-f.before.CPUSeconds)/float64(len(f.apps)), used.PeakRSS
	return err
}

// perApp returns the requests since before, divided by the number of apps, without own writes of the bench.
func (f *fleet) perApp(ctx context.Context, before requests, own int) (requests, error) {
	now, err := f.requests(ctx)
	n, d := float64(len(f.apps)), now.minus(before)
	return requests{Reads: d.Reads / n, Writes: (d.Writes - float64(own)) / n, Failed: d.Failed / n}, err
}

// rollOut writes the status of every Deployment as if its pods were available, and waits until each app is Ready.
func (f *fleet) rollOut(ctx context.Context, replicas int32, generation int64) error {
	ready, err := f.await(ctx, &v1alpha1.GracefulAppList{}, len(f.apps), func(object client.Object) bool {
		app, ok := object.(*v1alpha1.GracefulApp)
		return ok && app.Status.ReadyReplicas == replicas && meta.IsStatusConditionTrue(app.Status.Conditions, v1alpha1.ConditionReady)
	})
	if err != nil {
		return err
	}
	_, err = forEach(ctx, f.apps, func(ctx context.Context, app *v1alpha1.GracefulApp) error {
		return f.Status().Patch(ctx, &appsv1.Deployment{ObjectMeta: objectMeta(app)}, availablePatch(replicas, generation))
	})
	if err != nil {
		return err
	}
	_, err = ready.since(time.Now(), f.manager)
	return err
}

// patch changes the replicas of all apps.
func (f *fleet) patch(ctx context.Context, out *operator) error {
	scaled, err := f.await(ctx, &appsv1.DeploymentList{}, len(f.apps), hasReplicas(endReplicas))
	if err != nil {
		return err
	}
	start := time.Now()
	_, err = forEach(ctx, f.apps, func(ctx context.Context, app *v1alpha1.GracefulApp) error {
		return f.Patch(ctx, &v1alpha1.GracefulApp{ObjectMeta: objectMeta(app)}, replicasPatch(endReplicas))
	})
	if err != nil {
		return err
	}
	if out.Patch, err = scaled.since(start, f.manager); err != nil {
		return err
	}
	return f.rollOut(ctx, endReplicas, 2)
}

// rest counts what the manager does while nothing changes.
func (f *fleet) rest(ctx context.Context, out *operator) error {
	before, err := f.requests(ctx)
	if err != nil {
		return err
	}
	used, err := f.manager.usage()
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(f.restTime): // the figure is what happens in this time
	}
	after, err := f.requests(ctx)
	if err != nil {
		return err
	}
	end, err := f.manager.usage()
	out.Rest, out.RestCPU = after.minus(before), end.CPUSeconds-used.CPUSeconds
	return err
}
