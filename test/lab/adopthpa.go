package lab

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	clientcache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

const (
	// autoscalerPeriod is the default of --horizontal-pod-autoscaler-sync-period.
	autoscalerPeriod = 15 * time.Second
	// manifestReplicas is the number in the old manifest. The autoscaler has changed the number of the live object.
	manifestReplicas = 2
)

// adoptAutoscaled adopts a Deployment that an autoscaler scales, with the replicas of the old manifest, and then lets the autoscaler target the
// GracefulApp. The autoscaler scales to minReplicas, which needs no metric.
func adoptAutoscaled(ctx context.Context, r *round) error {
	w, control := r.lab.suite.workloads[0], r.lab.suite.workloads[1]
	autoscaler := w.autoscaler() // it targets the Deployment, because the workload is not managed yet
	autoscaler.Spec.MinReplicas = new(int32(r.scenario.replicas))
	if err := r.lab.testbed.Create(ctx, autoscaler); err != nil {
		return fmt.Errorf("creating the autoscaler: %w", err)
	}
	defer r.removeAutoscalers(ctx)
	if err := r.awaitAutoscaler(ctx, autoscaler); err != nil {
		return err
	}
	watched, err := r.watchScale(ctx, w, r.scenario.replicas)
	if err != nil {
		return err
	}
	defer func() { _ = watched.end() }()
	err = r.adopt(ctx, fmt.Sprintf("adopt with %d replicas", manifestReplicas), func(app *v1alpha1.GracefulApp) {
		app.Spec.Replicas = new(int32(manifestReplicas))
	})
	if err != nil {
		return err
	}
	if err := r.scaleInTurn(ctx, control); err != nil {
		return err
	}
	if err := r.awaitScaleConflict(ctx, w, true); err != nil {
		return err
	}
	if err := r.retargetAutoscaler(ctx, w); err != nil {
		return err
	}
	if err := r.endAdoption(ctx); err != nil {
		return err
	}
	if err := r.waitUnderLoad(ctx, 2*autoscalerPeriod); err != nil {
		return err
	}
	if err := r.awaitScaleConflict(ctx, w, false); err != nil {
		return err
	}
	return watched.end()
}

// awaitAutoscaler waits until the autoscaler has read the Deployment. By then the operator, which watches autoscalers too, has seen it.
func (r *round) awaitAutoscaler(ctx context.Context, a *autoscalingv2.HorizontalPodAutoscaler) error {
	return r.waitFor(ctx, "the autoscaler", adoptLimit, func(ctx context.Context) (testbed.Pending, error) {
		if err := r.lab.testbed.Direct.Get(ctx, client.ObjectKeyFromObject(a), a); err != nil {
			return "", err
		}
		if got := int(a.Status.CurrentReplicas); got != r.scenario.replicas {
			return testbed.Pending(fmt.Sprintf("its status.currentReplicas is %d", got)), nil
		}
		return testbed.Done, nil
	})
}

// scaleInTurn scales the control down and up, as an older operator, which ignored autoscalers, and the autoscaler did in turn.
func (r *round) scaleInTurn(ctx context.Context, control *workload) error {
	for range 2 {
		for _, n := range []int{manifestReplicas, r.scenario.replicas} {
			text := fmt.Sprintf("scale to %d", n)
			r.lab.say("  %s: %s", control.name, text)
			r.addEvent(control.name, text)
			if err := control.patch(ctx, r.lab.testbed, replicasPatch(n)); err != nil {
				return err
			}
			if err := r.waitUnderLoad(ctx, autoscalerPeriod); err != nil {
				return err
			}
		}
	}
	return nil
}

// retargetAutoscaler lets the autoscaler target the GracefulApp, with the steps of docs/how-to/autoscale.md.
func (r *round) retargetAutoscaler(ctx context.Context, w *workload) error {
	const text = "let the autoscaler target the GracefulApp"
	r.lab.say("  %s", text)
	r.addEvent(w.name, text)
	if err := w.scale(ctx, r.lab.testbed, int32(r.scenario.replicas)); err != nil {
		return err
	}
	target := client.RawPatch(types.MergePatchType, fmt.Appendf(nil,
		`{"spec":{"scaleTargetRef":{"apiVersion":%q,"kind":"GracefulApp","name":%q}}}`, v1alpha1.GroupVersion, w.name))
	if err := r.lab.testbed.Patch(ctx, w.autoscaler(), target); err != nil {
		return fmt.Errorf("%s: %w", text, err)
	}
	return nil
}

// awaitScaleConflict waits until the condition ScaleConflict reports, or no longer reports, an autoscaler that targets the Deployment.
func (r *round) awaitScaleConflict(ctx context.Context, w *workload, want bool) error {
	condition := fmt.Sprintf("%s's ScaleConflict to be %t", w.name, want)
	return r.waitFor(ctx, condition, adoptLimit, func(ctx context.Context) (testbed.Pending, error) {
		var app v1alpha1.GracefulApp
		if err := r.lab.testbed.Get(ctx, client.ObjectKey{Name: w.name}, &app); err != nil {
			return "", err
		}
		c := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionScaleConflict)
		if got := c != nil && c.Reason == v1alpha1.ReasonAutoscalerTargetsDeployment; got != want {
			return testbed.Pending(fmt.Sprintf("it is %t", got)), nil
		}
		return testbed.Done, nil
	})
}

// scaleWatch checks that a Deployment keeps its number of replicas and of pods.
type scaleWatch struct {
	want int
	stop func() error

	mu       sync.Mutex
	pods     map[string]bool // pods that are not terminating
	problems []string
}

func (r *round) watchScale(ctx context.Context, w *workload, want int) (*scaleWatch, error) {
	s := &scaleWatch{want: want, pods: map[string]bool{}}
	var stops []func() error
	s.stop = func() error {
		for _, stop := range stops {
			if err := stop(); err != nil {
				return err
			}
		}
		return nil
	}
	for _, kind := range []client.Object{&corev1.Pod{}, &appsv1.Deployment{}} {
		informer, err := r.lab.testbed.Watched.GetInformer(ctx, kind)
		if err != nil {
			return nil, err
		}
		observe := func(object any) {
			if o, ok := object.(client.Object); ok && (o.GetName() == w.name || o.GetLabels()[workloadLabel] == w.name) {
				s.observe(o)
			}
		}
		handler, err := informer.AddEventHandler(clientcache.ResourceEventHandlerFuncs{
			AddFunc: observe, UpdateFunc: func(_, updated any) { observe(updated) },
		})
		if err != nil {
			return nil, err
		}
		stops = append(stops, func() error { return informer.RemoveEventHandler(handler) })
	}
	return s, nil
}

// observe checks an object. A rollout creates a pod before it deletes one, so the number of pods must never fall below the desired number.
func (s *scaleWatch) observe(object client.Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch o := object.(type) {
	case *appsv1.Deployment:
		if n := int(*o.Spec.Replicas); n != s.want {
			s.problem("the Deployment got %d replicas", n)
		}
	case *corev1.Pod:
		complete := len(s.pods) >= s.want // the first events list the pods one by one
		if o.DeletionTimestamp == nil {
			s.pods[o.Name] = true
		} else {
			delete(s.pods, o.Name)
		}
		if n := len(s.pods); complete && n < s.want {
			s.problem("%d pods were left", n)
		}
	}
}

func (s *scaleWatch) problem(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(s.problems, text) {
		s.problems = append(s.problems, text)
	}
}

// end stops the watch and returns the problems as an error. It may be called twice.
func (s *scaleWatch) end() error {
	err := s.stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.problems) > 0 {
		return fmt.Errorf("%d replicas were expected throughout: %s", s.want, strings.Join(s.problems, ", "))
	}
	return err
}
