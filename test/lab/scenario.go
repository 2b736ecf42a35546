package main

import (
	"context"
	"fmt"
	"time"
)

// scenario is one disturbance. All workloads go through its steps side by side.
type scenario struct {
	name, title string
	replicas    int // at the beginning
	profile     profile
	// promised: GracefulApp loses nothing; else reason says why it may.
	promised bool
	reason   string
	// controlMustLose: without a loss of the control the scenario proves nothing and fails; else note says what it proves.
	controlMustLose bool
	note            string
	// eachControlMustLose: so does each client of it.
	eachControlMustLose bool
	// embedded: it breaks the cluster itself, which is for the embedded one only.
	embedded bool
	// tools: it needs the image with them.
	tools bool
	// quick: part of the short form.
	quick bool
	// suite has the scenario's own workloads; nil: the usual ones.
	suite func() suite
	steps func(ctx context.Context, r *round) error
}

const (
	weakControl = "a rollout or scaling of the control loses at its own steps; that something else happens meanwhile may add nothing"
	noReplica   = "with no pod there is nobody to answer; nothing holds requests back until one is Ready"
)

// scenarios in the order in which they run.
func scenarios() []scenario {
	return []scenario{
		{name: "scale-up", title: "Scale up 1 -> 3 -> 6", replicas: 1, promised: true, controlMustLose: true, quick: false, steps: scaleUp},
		{name: "scale-down", title: "Scale down 6 -> 3 -> 1", replicas: 6, promised: true, controlMustLose: true, steps: scaleDown},
		{name: "scale", title: "kubectl patch 2 -> 5 -> 1 -> 3", replicas: 2, promised: true, controlMustLose: true, eachControlMustLose: true, quick: true, steps: scaleBoth},
		{name: "flapping", title: "Random replicas every few seconds", replicas: 3, promised: true, controlMustLose: true, steps: flap},
		{name: "rollout", title: "Two rolling updates of 3 pods", replicas: 3, promised: true, controlMustLose: true, eachControlMustLose: true, quick: true, steps: rollOut},
		{name: "rollback", title: "Rollback in the middle of a rollout", replicas: 4, promised: true, controlMustLose: true, steps: rollBack},
		{name: "rollout-single", title: "Rolling update of one pod", replicas: 1, promised: true, controlMustLose: true, steps: rollOut},
		{name: "timing", title: "A change of spec.timing", replicas: 3, promised: true, controlMustLose: true, steps: changeTiming},
		{name: "delete-pod", title: "kubectl delete pod, one after the other", replicas: 3, promised: true, controlMustLose: true, eachControlMustLose: true, steps: deletePods},
		{name: "evict", title: "The Eviction API, every pod", replicas: 3, promised: true, controlMustLose: true, steps: evictPods},
		{name: "drain", title: "kubectl drain of each node, and uncordon", replicas: 4, promised: true, controlMustLose: true, eachControlMustLose: true, steps: drainNodes},
		{name: "autoscaler", title: "A HorizontalPodAutoscaler's minReplicas 2 -> 4 -> 6", replicas: 2, promised: true, controlMustLose: true, steps: autoscale},
		{name: "operator-killed", title: "Scaling and rollout while the operator is killed", replicas: 2, promised: true, controlMustLose: true, note: weakControl, steps: killOperator},
		{name: "operator-rollout", title: "The operator's own rollout under admission requests", replicas: 2, promised: true, note: "the control has no operator", steps: rollOperator},
		{name: "operator-absent", title: "kubectl scale while the operator is away", replicas: 2, promised: true, controlMustLose: true, note: weakControl, steps: scaleWithoutOperator},
		{name: "apiserver-restart", title: "API server killed in the middle of scaling, t2 45 s", replicas: 2, profile: patient, promised: true, controlMustLose: true, note: weakControl, embedded: true, steps: restartAPIServer},
		{name: "tutorial", title: "The tutorial's numbers: t1 20, t2 5, t3 30; 2 -> 4 -> 1", replicas: 2, profile: tutorial, promised: true, controlMustLose: true, steps: scaleTutorial},
		{name: "second-opinion", title: "2 -> 5 -> 1 -> 3 and a rollout, thrice, also by wrk, ab and hey", replicas: 2, promised: true, controlMustLose: true, tools: true, steps: secondOpinion},
		{name: "to-zero", title: "n -> 0 -> n", replicas: 2, reason: noReplica, note: "not promised", steps: toZeroAndBack},
		{name: "evict-single", title: "The only pod is evicted", replicas: 1, note: "not promised",
			reason: "its successor starts only when it is told to go; two replicas, or t2 longer than the start, bridge that", steps: evictPods},
		{name: "killed", title: "Forced deletion (SIGKILL at once)", replicas: 3, note: "not promised",
			reason: "no hook and no signal comes before SIGKILL: a crash", steps: killPods},
	}
}

func (s scenario) withDefaults() scenario {
	if s.profile.name == "" {
		s.profile = short
	}
	return s
}

func scaleUp(ctx context.Context, r *round) error   { return r.scaleTo(ctx, 3, 6) }
func scaleDown(ctx context.Context, r *round) error { return r.scaleTo(ctx, 3, 1) }
func scaleBoth(ctx context.Context, r *round) error { return r.scaleTo(ctx, 5, 1, 3) }

func scaleTutorial(ctx context.Context, r *round) error { return r.scaleTo(ctx, 4, 1) }

const (
	flaps     = 10
	flapEvery = 2 * time.Second // beside the time in which one workload after the other is changed
	flapMost  = 6
)

// flap changes its mind before the last change has come to rest.
func flap(ctx context.Context, r *round) error {
	for range flaps {
		n := 1 + r.random.IntN(flapMost)
		patch := func(w *workload) error { return w.patch(ctx, r.Testbed, scaling(n)) }
		if _, err := r.begin(ctx, fmt.Sprintf("scale to %d", n), patch); err != nil {
			return err
		}
		if err := r.steady(ctx, flapEvery); err != nil {
			return err
		}
	}
	return r.scaleTo(ctx, 3)
}

func rollOut(ctx context.Context, r *round) error {
	for range 2 {
		if err := r.patch(ctx, "roll out", rollingTo(r.version())); err != nil {
			return err
		}
	}
	return nil
}

// rollBack takes the old template again when the first new pods serve.
func rollBack(ctx context.Context, r *round) error {
	before := r.version()
	if err := r.patch(ctx, "roll out", rollingTo(before)); err != nil {
		return err
	}
	next := r.version()
	if _, err := r.begin(ctx, "roll out", func(w *workload) error { return w.patch(ctx, r.Testbed, rollingTo(next)) }); err != nil {
		return err
	}
	halfway := time.Duration(r.scenario.profile.startSeconds)*time.Second + 5*time.Second
	if err := r.steady(ctx, halfway); err != nil {
		return err
	}
	return r.patch(ctx, "roll back", rollingTo(before))
}

// changeTiming lets the operator derive other numbers; the plain Deployments roll out at the same time.
func changeTiming(ctx context.Context, r *round) error {
	defer func() { r.deployed = "changed" }() // so that the next scenario begins with fresh workloads
	return r.change(ctx, "requestSeconds to 8", func(w *workload) error {
		if w.managed {
			return w.patch(ctx, r.Testbed, `{"spec":{"timing":{"requestSeconds":8}}}`)
		}
		return w.patch(ctx, r.Testbed, rollingTo(r.version()))
	})
}

func toZeroAndBack(ctx context.Context, r *round) error { return r.scaleTo(ctx, 0, 2) }
