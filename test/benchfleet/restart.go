package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"syscall"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// restart starts the manager again and waits until it has reconciled each app and its queue is empty.
func (f *fleet) restart(ctx context.Context, out *operator) error {
	if err := f.stopManager(); err != nil {
		return err
	}
	if err := f.createForeign(ctx, f.foreign); err != nil {
		return err
	}
	before, err := f.requests(ctx)
	if err != nil {
		return err
	}
	metrics, err := f.newManagerMetrics(ctx)
	if err != nil {
		return err
	}
	start := time.Now()
	if f.manager, err = startManager(ctx, f.options, f.controlPlane, f.dir, "--metrics-bind-address="+metrics.address); err != nil {
		return err
	}
	var lastErr error
	err = poll(ctx, func() (bool, error) {
		var values map[string]float64
		values, lastErr = metrics.read(ctx) // fails until the manager listens
		return values["controller_runtime_reconcile_total"] >= float64(len(f.apps)) &&
			values["workqueue_depth"]+values["controller_runtime_active_workers"] == 0, f.manager.check()
	})
	if err != nil {
		return fmt.Errorf("waiting until the queue is empty: %w", errors.Join(err, lastErr))
	}
	out.Restart.Seconds = time.Since(start).Seconds()
	used, err := f.manager.usage()
	if err != nil {
		return err
	}
	out.Restart.RSS, out.Restart.PeakRSS, out.Restart.CPU = used.RSS, used.PeakRSS, used.CPUSeconds
	after, err := f.requests(ctx)
	out.Restart.Requests = after.minus(before)
	return err
}

// changeLeader ends the leader while another replica waits, and changes an app at that moment.
func (f *fleet) changeLeader(ctx context.Context, out *operator) error {
	if err := f.stopManager(); err != nil {
		return err
	}
	var err error
	if out.ReleasedLease, err = f.replaceLeader(ctx, syscall.SIGTERM, 10); err != nil {
		return fmt.Errorf("SIGTERM: %w", err)
	}
	if out.ExpiredLease, err = f.replaceLeader(ctx, syscall.SIGKILL, 20); err != nil {
		return fmt.Errorf("SIGKILL: %w", err)
	}
	return nil
}

// replaceLeader starts two managers, ends the leader with the signal and returns the seconds until the other has scaled an app
// to one more than replicas.
func (f *fleet) replaceLeader(ctx context.Context, signal syscall.Signal, replicas int32) (float64, error) {
	elect := []string{"--leader-elect", "--namespace=default"}
	leader, err := startManager(ctx, f.options, f.controlPlane, f.dir, elect...)
	if err != nil {
		return 0, err
	}
	f.manager = leader
	if err := f.scaleOne(ctx, replicas); err != nil {
		return 0, err
	}
	f.leader = leader // until it ends, so that stop ends it after an error
	health, err := freeAddress()
	if err != nil {
		return 0, err
	}
	if f.manager, err = startManager(ctx, f.options, f.controlPlane, f.dir, append(elect, "--health-probe-bind-address="+health)...); err != nil {
		return 0, err
	}
	err = poll(ctx, func() (bool, error) {
		response, _ := http.Get("http://" + health + "/healthz") // an error means that it does not listen yet
		if response == nil {
			return false, f.manager.check()
		}
		return response.StatusCode == http.StatusOK, response.Body.Close()
	})
	if err != nil {
		return 0, err
	}
	start := time.Now()
	f.leader = nil
	if err := leader.end(signal); err != nil {
		return 0, err
	}
	if err := f.scaleOne(ctx, replicas+1); err != nil {
		return 0, err
	}
	seconds := time.Since(start).Seconds()
	return seconds, f.stopManager()
}

// scaleOne changes the replicas of the first app and returns when its Deployment has them.
func (f *fleet) scaleOne(ctx context.Context, replicas int32) error {
	app := f.apps[0]
	if err := f.Patch(ctx, &v1alpha1.GracefulApp{ObjectMeta: objectMeta(app)}, replicasPatch(replicas)); err != nil {
		return err
	}
	deployment := &appsv1.Deployment{}
	return poll(ctx, func() (bool, error) {
		err := f.Get(ctx, client.ObjectKeyFromObject(app), deployment)
		return hasReplicas(replicas)(deployment), errors.Join(err, f.manager.check())
	})
}
