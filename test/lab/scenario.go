package lab

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gracefulapp/gracefulapp/test/testbed"
)

// scenario is a sequence of changes, such as a rollout, that is applied to all workloads.
type scenario struct {
	name, title string
	replicas    int // at the beginning
	profile     profile
	// promised means that GracefulApp promises to lose no request. Otherwise reason says why it may lose some.
	promised bool
	reason   string
	// controlMustLose means that the scenario fails if the control loses no request, because then it proves nothing. Otherwise note says why not.
	controlMustLose bool
	note            string
	// eachControlMustLose means the same for each client of the control.
	eachControlMustLose bool
	// needsEmbedded means that the scenario kills components of the cluster, so it runs only on the embedded cluster.
	needsEmbedded bool
	// needsTools means that the scenario needs the image with the external tools.
	needsTools bool
	// suite returns the scenario's own workloads; nil means the usual ones.
	suite func() suite
	steps func(ctx context.Context, r *round) error
}

const (
	weakControl = "the control loses requests when it is scaled or rolled out, with or without the other disturbance"
	noReplica   = "without a pod no server can answer, and requests are not queued until a pod is Ready"
)

// allScenarios returns all scenarios. Those with their own workloads run only by name.
func allScenarios() []scenario {
	return slices.Concat(scenarios(), adoptScenarios(), sidecarScenarios(), []scenario{quickScenario(), tutorialScenario(), lateProxyScenario(), starvedScenario()})
}

// quickScenario returns the scenario of make test. It has fewer workloads than the usual ones, because all five together need most of two cores.
func quickScenario() scenario {
	return scenario{
		name: "quick", title: "2 -> 5 -> 1 -> 3 and a rollout, fewer workloads", replicas: 2, promised: true, controlMustLose: true,
		suite: func() suite { return helloSuite().quick() }, steps: scaleAndRollOut,
	}
}

// scenarios returns the scenarios with the usual workloads, in the order in which they run.
func scenarios() []scenario {
	return []scenario{
		{name: "scale-up", title: "Scale up 1 -> 3 -> 6", replicas: 1, promised: true, controlMustLose: true, steps: scaleUp},
		{name: "scale-down", title: "Scale down 6 -> 3 -> 1", replicas: 6, promised: true, controlMustLose: true, steps: scaleDown},
		{name: "scale", title: "kubectl patch 2 -> 5 -> 1 -> 3", replicas: 2, promised: true, controlMustLose: true, eachControlMustLose: true, steps: scaleBoth},
		{name: "flapping", title: "Random replicas every few seconds", replicas: 3, promised: true, controlMustLose: true, steps: flap},
		{name: "rollout", title: "Two rolling updates of 3 pods", replicas: 3, promised: true, controlMustLose: true, eachControlMustLose: true, steps: rollOut},
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
		{name: "apiserver-restart", title: "API server killed in the middle of scaling, t2 45 s", replicas: 2, profile: longPreStop, promised: true, controlMustLose: true, note: weakControl, needsEmbedded: true, steps: restartAPIServer},
		{name: "default-grace", title: "The default grace period: t1 20, t2 5, t3 30; 2 -> 4 -> 1", replicas: 2, profile: defaultGrace, promised: true, controlMustLose: true, steps: scaleFourOne},
		{name: "second-opinion", title: "2 -> 5 -> 1 -> 3 and a rollout, three times, also with wrk, ab and hey", replicas: 2, promised: true, controlMustLose: true, needsTools: true, steps: runExternalTools},
		{name: "to-zero", title: "n -> 0 -> n", replicas: 2, reason: noReplica, note: "not promised", steps: toZeroAndBack},
		{name: "evict-single", title: "The only pod is evicted", replicas: 1, note: "not promised",
			reason: "the new pod starts only after the eviction; use two replicas, or a t2 longer than the start", steps: evictPods},
		{name: "killed", title: "Forced deletion (SIGKILL at once)", replicas: 3, note: "not promised",
			reason: "SIGKILL comes without a preStop hook and without SIGTERM, as in a crash", steps: killPods},
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

// scaleAndRollOut scales 2 -> 5 -> 1 -> 3 and rolls out.
func scaleAndRollOut(ctx context.Context, r *round) error {
	if err := scaleBoth(ctx, r); err != nil {
		return err
	}
	return r.patch(ctx, "roll out", versionPatch(r.lab.version()))
}

func scaleFourOne(ctx context.Context, r *round) error { return r.scaleTo(ctx, 4, 1) }

const (
	flapCount       = 10
	flapInterval    = 4 * time.Second // shorter than the time until a GracefulApp is settled
	maxFlapReplicas = 6
)

// flap changes the replicas of each workload again before its previous change is settled.
func flap(ctx context.Context, r *round) error {
	numbers := flapNumbers(r.lab.random, r.scenario.replicas)
	err := r.changeAlone(ctx, func(w *workload) error {
		r.lab.say("  scale %s to %s, every %s", w.name, strings.Trim(fmt.Sprint(numbers), "[]"), flapInterval)
		for _, n := range numbers {
			r.addEvent(w.name, fmt.Sprintf("scale to %d", n))
			if err := w.patch(ctx, r.lab.testbed, replicasPatch(n)); err != nil {
				return err
			}
			if err := r.waitUnderLoad(ctx, flapInterval); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return r.scaleTo(ctx, 3)
}

// flapNumbers returns random numbers of replicas, each of them another than the one before. Pure.
func flapNumbers(random *rand.Rand, now int) []int {
	var numbers []int
	for len(numbers) < flapCount {
		n := 1 + random.IntN(maxFlapReplicas)
		if n != now {
			numbers, now = append(numbers, n), n
		}
	}
	return numbers
}

func rollOut(ctx context.Context, r *round) error {
	for range 2 {
		if err := r.patch(ctx, "roll out", versionPatch(r.lab.version())); err != nil {
			return err
		}
	}
	return nil
}

// rollBack restores the old template of each workload when the first pod of its rollout is Ready.
func rollBack(ctx context.Context, r *round) error {
	before := r.lab.version()
	if err := r.patch(ctx, "roll out", versionPatch(before)); err != nil {
		return err
	}
	next := r.lab.version()
	r.lab.say("  roll out, and roll back when the first new pod is Ready")
	return r.changeAlone(ctx, func(w *workload) error {
		r.addEvent(w.name, "roll out")
		if err := w.patch(ctx, r.lab.testbed, versionPatch(next)); err != nil {
			return err
		}
		if err := r.awaitReadyPod(ctx, w, next); err != nil {
			return err
		}
		r.addEvent(w.name, "roll back")
		return w.patch(ctx, r.lab.testbed, versionPatch(before))
	})
}

// awaitReadyPod waits until a pod of this version is Ready.
func (r *round) awaitReadyPod(ctx context.Context, w *workload, version string) error {
	return r.waitFor(ctx, "a new pod of "+w.name, settleLimit, func(ctx context.Context) (testbed.Pending, error) {
		pods, err := r.lab.pods(ctx, w.name)
		if err != nil {
			return "", err
		}
		pods = slices.DeleteFunc(pods, func(pod corev1.Pod) bool { return pod.Annotations[versionAnnotation] != version })
		if countReady(pods) == 0 {
			return "none is Ready", nil
		}
		return testbed.Done, nil
	})
}

// changeTiming changes spec.timing, for which the operator derives other numbers. The plain Deployments roll out too.
func changeTiming(ctx context.Context, r *round) error {
	defer func() { r.lab.deployed = "" }()
	return r.change(ctx, "requestSeconds to 8", func(w *workload) error {
		if w.managed {
			return w.patch(ctx, r.lab.testbed, `{"spec":{"timing":{"requestSeconds":8}}}`)
		}
		return w.patch(ctx, r.lab.testbed, versionPatch(r.lab.version()))
	})
}

func toZeroAndBack(ctx context.Context, r *round) error { return r.scaleTo(ctx, 0, 2) }
