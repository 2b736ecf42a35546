package lab

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gracefulapp/gracefulapp/test/load"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

// traffic is the load of a round: on each of up to two nodes a generator in the pod network and one in the node's network.
type traffic struct{ fleet *testbed.Fleet }

func (r *round) startTraffic(ctx context.Context) error {
	r.traffic = &traffic{}
	round := r.lab.nextNumber()
	var pods []*corev1.Pod
	for _, p := range r.lab.places {
		if targets := r.lab.suite.targets(r.lab.addresses, r.scenario.profile, p, round); len(targets) > 0 {
			pods = append(pods, loadgen(p, r.lab.options.loadgenImage, targets))
		}
	}
	var err error
	if r.traffic.fleet, err = r.lab.testbed.StartFleet(ctx, pods); err != nil {
		return errors.Join(err, r.traffic.fleet.Remove(context.WithoutCancel(ctx)))
	}
	return nil
}

func (t *traffic) failed() error { return t.fleet.Failed() }

// stop ends the sending and waits until all requests are recorded.
func (t *traffic) stop(ctx context.Context) error { return t.fleet.Stop(ctx) }

// remove deletes the generators after success, failure or interruption, so it does not use the context of the round.
func (t *traffic) remove() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = t.fleet.Remove(ctx) // the next run deletes the namespace
}

// count returns the counts of a workload so far.
func (t *traffic) count(workload string) load.Count {
	if t == nil || t.fleet == nil {
		return load.Count{}
	}
	return t.fleet.Count(workload + "/")
}

// countClient returns the counts of one client of a workload so far.
func (t *traffic) countClient(workload, client string) load.Count {
	return t.fleet.Count(targetPrefix(workload, client))
}

// targetResult is the result of a target, with times on this program's clock.
type targetResult struct {
	load.Summary
	losses []load.Record
}

// results returns the results of all targets. It may be called when the traffic has stopped.
func (t *traffic) results() []targetResult {
	var all []targetResult
	for _, g := range t.fleet.Generators {
		for _, s := range g.Summary {
			for i := range s.Seconds {
				s.Seconds[i].At = s.Seconds[i].At.Add(g.ClockOffset)
			}
			losses := g.Losses[s.Name]
			for i := range losses {
				losses[i].Sent = losses[i].Sent.Add(g.ClockOffset)
			}
			all = append(all, targetResult{Summary: s, losses: losses})
		}
	}
	return all
}
