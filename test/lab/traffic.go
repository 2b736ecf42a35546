package main

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gracefulapp/gracefulapp/internal/load"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

// traffic is all the load of a round: on up to two nodes a generator in a pod, and one outside of the cluster's network.
type traffic struct{ fleet *testbed.Fleet }

func (r *round) startTraffic(ctx context.Context) error {
	r.traffic = &traffic{}
	round := r.next()
	var pods []*corev1.Pod
	for _, p := range r.places {
		if targets := r.targets(r.addresses, r.scenario.profile, p, round); len(targets) > 0 {
			pods = append(pods, loadgen(p, r.loadgenImage, targets))
		}
	}
	var err error
	if r.traffic.fleet, err = r.StartFleet(ctx, pods); err != nil {
		return errors.Join(err, r.traffic.fleet.Remove(context.WithoutCancel(ctx)))
	}
	return nil
}

func (t *traffic) failed() error { return t.fleet.Failed() }

// stop ends the sending and returns when every request has its record.
func (t *traffic) stop(ctx context.Context) error { return t.fleet.Stop(ctx) }

// remove is for whatever end the round took, also after its context.
func (t *traffic) remove() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = t.fleet.Remove(ctx) // the namespace goes with the next run
}

// count is what is known of a workload so far.
func (t *traffic) count(workload string) load.Count {
	if t == nil || t.fleet == nil {
		return load.Count{}
	}
	return t.fleet.Count(workload + "/")
}

// countClient is what is known of one of its clients so far.
func (t *traffic) countClient(workload, client string) load.Count {
	return t.fleet.Count(targetsOf(workload, client))
}

// sent is one target's whole run, by our clock.
type sent struct {
	load.Summary
	losses []load.Record
}

// all targets' runs; to be asked when the traffic has stopped.
func (t *traffic) all() []sent {
	var all []sent
	for _, g := range t.fleet.Generators {
		for _, s := range g.Summary {
			for i := range s.Seconds {
				s.Seconds[i].At = s.Seconds[i].At.Add(g.ClockOffset)
			}
			losses := g.Losses[s.Name]
			for i := range losses {
				losses[i].Sent = losses[i].Sent.Add(g.ClockOffset)
			}
			all = append(all, sent{s, losses})
		}
	}
	return all
}
