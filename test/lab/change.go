package lab

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

const (
	// settleLimit bounds the wait until a change is settled. The slowest change is a rollout of six pods that start in 25 s.
	settleLimit = 6 * time.Minute
	// listenMargin is added to the start time of hello in pods without a readiness probe.
	listenMargin = time.Second
)

// object returns the object that a user edits: the GracefulApp, or the Deployment of a plain workload.
func (w *workload) object() client.Object {
	if w.managed {
		return &v1alpha1.GracefulApp{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
	}
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
}

// patch applies a merge patch. replicas and template have the same paths in both kinds.
func (w *workload) patch(ctx context.Context, t *testbed.Testbed, body string) error {
	object := w.object()
	if err := t.Patch(ctx, object, client.RawPatch(types.MergePatchType, []byte(body))); err != nil {
		return fmt.Errorf("patching %s: %w", w.name, err)
	}
	w.generation = object.GetGeneration()
	return nil
}

// scale writes the scale subresource, as kubectl scale and autoscalers do.
func (w *workload) scale(ctx context.Context, t *testbed.Testbed, replicas int32) error {
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas))
	object := w.object()
	if err := t.SubResource("scale").Patch(ctx, object, patch, client.WithSubResourceBody(&autoscalingv1.Scale{})); err != nil {
		return fmt.Errorf("scaling %s: %w", w.name, err)
	}
	return w.refresh(ctx, t)
}

// refresh reads the generation and the replicas, which another client may have changed.
func (w *workload) refresh(ctx context.Context, t *testbed.Testbed) error {
	object := w.object()
	if err := t.Direct.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
		return fmt.Errorf("reading %s: %w", w.name, err)
	}
	w.generation = object.GetGeneration()
	w.replicas = replicasOf(object)
	return nil
}

func replicasOf(object client.Object) int32 {
	switch o := object.(type) {
	case *v1alpha1.GracefulApp:
		return *o.Spec.Replicas // the CRD sets a default
	case *appsv1.Deployment:
		return *o.Spec.Replicas
	}
	return 0
}

func (w *workload) settled(ctx context.Context, t *testbed.Testbed, p profile) (testbed.Pending, error) {
	if w.managed {
		return t.AppSettled(ctx, w.name, w.generation)
	}
	return t.DeploymentSettled(ctx, w.name, w.generation, w.listenDelay(p))
}

// listenDelay returns the time after Ready in which a pod may not listen yet. Without a readiness probe a pod is Ready as soon as its container runs.
func (w *workload) listenDelay(p profile) time.Duration {
	if w.probed {
		return 0
	}
	return time.Duration(p.startSeconds)*time.Second + listenMargin
}

// template returns the pod template of the workload's Deployment.
func (w *workload) template(ctx context.Context, t *testbed.Testbed) (corev1.PodTemplateSpec, error) {
	d := &appsv1.Deployment{}
	err := t.Get(ctx, client.ObjectKey{Name: w.name}, d)
	return d.Spec.Template, err
}

// settle waits until all workloads are settled.
func (l *lab) settle(ctx context.Context, p profile) error {
	return l.testbed.WaitFor(ctx, "the workloads to settle", settleLimit, func(ctx context.Context) (testbed.Pending, error) {
		_, missing, err := l.settled(ctx, p, l.suite.workloads)
		l.showProgress(string(missing))
		return missing, err
	})
}

// settled returns the workloads that are settled, and the reason why one of the others is not.
func (l *lab) settled(ctx context.Context, p profile, workloads []*workload) (settled []*workload, missing testbed.Pending, err error) {
	for _, w := range workloads {
		m, err := w.settled(ctx, l.testbed, p)
		switch {
		case err != nil:
			return nil, "", fmt.Errorf("%s: %w", w.name, err)
		case m == testbed.Done:
			settled = append(settled, w)
		default:
			missing = testbed.Pending(w.name+": ") + m
		}
	}
	return settled, missing, nil
}

// deploy creates the workloads, or updates existing ones to the profile. Existing Services keep their addresses.
func (l *lab) deploy(ctx context.Context, p profile) error {
	if l.deployed == p.name {
		return nil
	}
	for _, w := range l.suite.workloads {
		for _, object := range w.build(w, p, l.options.workloadImage) {
			err := l.testbed.Create(ctx, object)
			if apierrors.IsAlreadyExists(err) && object.GetName() == w.name {
				err = l.update(ctx, object)
			}
			if client.IgnoreAlreadyExists(err) != nil {
				return fmt.Errorf("deploying %s: %w", w.name, err)
			}
		}
		if err := w.refresh(ctx, l.testbed); err != nil {
			return err
		}
	}
	l.deployed = p.name
	return nil
}

// update writes the timing and the template of want to an existing GracefulApp or Deployment.
func (l *lab) update(ctx context.Context, want client.Object) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		switch want := want.(type) {
		case *v1alpha1.GracefulApp:
			have := &v1alpha1.GracefulApp{}
			if err := l.testbed.Direct.Get(ctx, client.ObjectKeyFromObject(want), have); err != nil {
				return err
			}
			have.Spec.Timing, have.Spec.Template = want.Spec.Timing, want.Spec.Template
			return l.testbed.Update(ctx, have)
		case *appsv1.Deployment:
			have := &appsv1.Deployment{}
			if err := l.testbed.Direct.Get(ctx, client.ObjectKeyFromObject(want), have); err != nil {
				return err
			}
			have.Spec.Template = want.Spec.Template
			return l.testbed.Update(ctx, have)
		}
		return nil
	})
}

// pods returns the pods of one workload, or of all workloads if none is named.
func (l *lab) pods(ctx context.Context, workloads ...string) ([]corev1.Pod, error) {
	var pods corev1.PodList
	if err := l.testbed.List(ctx, &pods, client.HasLabels{workloadLabel}); err != nil {
		return nil, fmt.Errorf("listing pods: %w", err)
	}
	if len(workloads) == 0 {
		return pods.Items, nil
	}
	var some []corev1.Pod
	for _, pod := range pods.Items {
		if pod.Labels[workloadLabel] == workloads[0] {
			some = append(some, pod)
		}
	}
	return some, nil
}
