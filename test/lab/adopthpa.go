package main

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
	// autoscalerPeriod is how often the HorizontalPodAutoscalers' controller looks (--horizontal-pod-autoscaler-sync-period).
	autoscalerPeriod = 15 * time.Second
	// manifestReplicas is the number in the manifest, which an autoscaler has long changed.
	manifestReplicas = 2
)

// adoptAutoscaled adopts a Deployment that an autoscaler scales, with the number of its old manifest, and hands the autoscaler over.
// minReplicas needs no metric.
func adoptAutoscaled(ctx context.Context, r *round) error {
	w, control := r.workloads[0], r.workloads[1]
	autoscaler := w.autoscaler() // targets the Deployment, as the workload is not managed yet
	autoscaler.Spec.MinReplicas = new(int32(r.scenario.replicas))
	if err := r.Create(ctx, autoscaler); err != nil {
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
	events, err := r.adopt(ctx, fmt.Sprintf("adopt with %d replicas", manifestReplicas), func(app *v1alpha1.GracefulApp) {
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
	if err := r.handAutoscalerOver(ctx, w); err != nil {
		return err
	}
	if err := r.endAdoption(ctx, events); err != nil {
		return err
	}
	if err := r.steady(ctx, 2*autoscalerPeriod); err != nil {
		return err
	}
	if err := r.awaitScaleConflict(ctx, w, false); err != nil {
		return err
	}
	return watched.end()
}

// awaitAutoscaler waits until its controller has seen the Deployment: then the operator, which watches autoscalers too, knows of it.
func (r *round) awaitAutoscaler(ctx context.Context, a *autoscalingv2.HorizontalPodAutoscaler) error {
	return r.WaitFor(ctx, "the autoscaler", adoptLimit, func(ctx context.Context) (testbed.Pending, error) {
		if err := r.Direct.Get(ctx, client.ObjectKeyFromObject(a), a); err != nil {
			return "", err
		}
		if got := int(a.Status.CurrentReplicas); got != r.scenario.replicas {
			return testbed.Pending(fmt.Sprintf("it has seen %d replicas", got)), nil
		}
		return testbed.Done, nil
	})
}

// scaleInTurn does to the control what the operator, which knew of no autoscaler, and the autoscaler once did.
func (r *round) scaleInTurn(ctx context.Context, control *workload) error {
	for range 2 {
		for _, n := range []int{manifestReplicas, r.scenario.replicas} {
			text := fmt.Sprintf("scale to %d", n)
			r.say("  %s: %s", control.name, text)
			r.note(control.name, text)
			if err := control.patch(ctx, r.Testbed, scaling(n)); err != nil {
				return err
			}
			if err := r.steady(ctx, autoscalerPeriod); err != nil {
				return err
			}
		}
	}
	return nil
}

// handAutoscalerOver follows docs/adoption.md.
func (r *round) handAutoscalerOver(ctx context.Context, w *workload) error {
	const text = "hand the autoscaler over"
	r.say("  %s", text)
	r.note(w.name, text)
	if err := w.scale(ctx, r.Testbed, int32(r.scenario.replicas)); err != nil {
		return err
	}
	target := client.RawPatch(types.MergePatchType, fmt.Appendf(nil,
		`{"spec":{"scaleTargetRef":{"apiVersion":%q,"kind":"GracefulApp","name":%q}}}`, v1alpha1.GroupVersion, w.name))
	if err := r.Patch(ctx, w.autoscaler(), target); err != nil {
		return fmt.Errorf("%s: %w", text, err)
	}
	return nil
}

// awaitScaleConflict waits until the app's condition says whether an autoscaler targets the Deployment.
func (r *round) awaitScaleConflict(ctx context.Context, w *workload, want bool) error {
	what := fmt.Sprintf("%s's ScaleConflict to be %t", w.name, want)
	return r.WaitFor(ctx, what, adoptLimit, func(ctx context.Context) (testbed.Pending, error) {
		var app v1alpha1.GracefulApp
		if err := r.Get(ctx, client.ObjectKey{Namespace: namespace, Name: w.name}, &app); err != nil {
			return "", err
		}
		c := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionScaleConflict)
		if got := c != nil && c.Reason == v1alpha1.ReasonAutoscalerTargetsDeployment; got != want {
			return testbed.Pending(fmt.Sprintf("it is %t", got)), nil
		}
		return testbed.Done, nil
	})
}

// scaleWatch sees each number of replicas that a Deployment gets, and each number of pods.
type scaleWatch struct {
	want int
	stop func() error

	mu       sync.Mutex
	pods     map[string]bool // those that are not terminating
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
		informer, err := r.Watched.GetInformer(ctx, kind)
		if err != nil {
			return nil, err
		}
		see := func(object any) {
			if o, ok := object.(client.Object); ok && (o.GetName() == w.name || o.GetLabels()[workloadLabel] == w.name) {
				s.see(o)
			}
		}
		handler, err := informer.AddEventHandler(clientcache.ResourceEventHandlerFuncs{
			AddFunc: see, UpdateFunc: func(_, updated any) { see(updated) },
		})
		if err != nil {
			return nil, err
		}
		stops = append(stops, func() error { return informer.RemoveEventHandler(handler) })
	}
	return s, nil
}

// see judges an object. A rollout creates a pod before it deletes another one, so the number of pods never falls below the desired one.
func (s *scaleWatch) see(object client.Object) {
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

// end stops watching, and returns what was wrong. It may be called again.
func (s *scaleWatch) end() error {
	err := s.stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.problems) > 0 {
		return fmt.Errorf("the number of replicas was to stay %d: %s", s.want, strings.Join(s.problems, ", "))
	}
	return err
}
