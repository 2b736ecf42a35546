package lab

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/test/lab/report"
	"github.com/gracefulapp/gracefulapp/test/load"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

const (
	operatorNamespace  = "gracefulapp-system"
	operatorDeployment = "gracefulapp-controller-manager"
	operatorSelector   = "control-plane=controller-manager"
	operatorReplicas   = 2
)

// autoscale raises minReplicas of an autoscaler, which needs no metric for that.
func autoscale(ctx context.Context, r *round) error {
	defer r.removeAutoscalers(ctx)
	for _, w := range r.lab.suite.workloads {
		if err := r.lab.testbed.Create(ctx, w.autoscaler()); err != nil {
			return fmt.Errorf("creating an autoscaler for %s: %w", w.name, err)
		}
	}
	for _, n := range []int32{4, 6} {
		err := r.change(ctx, fmt.Sprintf("minReplicas to %d", n), func(w *workload) error {
			patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"minReplicas":%d}}`, n))
			if err := r.lab.testbed.Patch(ctx, w.autoscaler(), patch); err != nil {
				return err
			}
			return w.awaitReplicas(ctx, r.lab.testbed, n)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *workload) autoscaler() *autoscalingv2.HorizontalPodAutoscaler {
	target := autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: w.name}
	if w.managed {
		target.APIVersion, target.Kind = "apps.gracefulapp.dev/v1alpha1", "GracefulApp"
	}
	return &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: w.name},
		Spec:       autoscalingv2.HorizontalPodAutoscalerSpec{ScaleTargetRef: target, MinReplicas: new(int32(2)), MaxReplicas: 8},
	}
}

func (r *round) removeAutoscalers(ctx context.Context) {
	for _, w := range r.lab.suite.workloads {
		if err := r.lab.testbed.Delete(context.WithoutCancel(ctx), w.autoscaler()); client.IgnoreNotFound(err) != nil {
			r.lab.say("  removing the autoscaler of %s: %v", w.name, err)
		}
	}
}

// awaitReplicas waits until the autoscaler has set spec.replicas.
func (w *workload) awaitReplicas(ctx context.Context, t *testbed.Testbed, want int32) error {
	return t.WaitFor(ctx, fmt.Sprintf("%s to be scaled to %d", w.name, want), 2*time.Minute, func(ctx context.Context) (testbed.Pending, error) {
		if err := w.refresh(ctx, t); err != nil {
			return "", err
		}
		if got := w.replicas; got != want {
			return testbed.Pending(fmt.Sprintf("spec.replicas is %d", got)), nil
		}
		return testbed.Done, nil
	})
}

// killOperator kills all pods of the operator directly after each of three changes of each GracefulApp.
func killOperator(ctx context.Context, r *round) error {
	for _, c := range []struct{ text, body string }{
		{text: "scale to 5", body: replicasPatch(5)}, {text: "roll out", body: versionPatch(r.lab.version())}, {text: "scale to 1", body: replicasPatch(1)},
	} {
		r.lab.say("  %s", c.text)
		// The next workload is changed when this one is settled, because only then a pod of the operator leads again.
		err := r.changeAlone(ctx, func(w *workload) error {
			r.addEvent(w.name, c.text)
			if err := w.patch(ctx, r.lab.testbed, c.body); err != nil || !w.managed {
				return err
			}
			r.addEvent("", "kill the operator")
			err := r.lab.testbed.Kube.CoreV1().Pods(operatorNamespace).DeleteCollection(ctx,
				metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}, metav1.ListOptions{LabelSelector: operatorSelector})
			if err != nil {
				return fmt.Errorf("killing the operator: %w", err)
			}
			return r.awaitOperator(ctx) // the next change needs the webhook
		})
		if err != nil {
			return fmt.Errorf("%s: %w", c.text, err)
		}
	}
	return nil
}

// rollOperator rolls out the operator while a client changes specs continuously: the webhook must not lose a request either.
func rollOperator(ctx context.Context, r *round) error {
	client := r.startAdmissionClient(ctx)
	defer client.end()
	err := func() error {
		for range 2 {
			r.lab.say("  roll out the operator")
			e := r.addEvent("", "roll out the operator")
			if err := r.lab.patchOperator(ctx, versionPatch(r.lab.version())); err != nil {
				return err
			}
			if err := r.awaitOperator(ctx); err != nil {
				return err
			}
			e.Settled = time.Now()
			if err := r.scaleTo(ctx, 4, 2); err != nil {
				return err
			}
		}
		return nil
	}()
	first := r.lab.suite.workloads[0].name
	r.extraRows[first] = append(r.extraRows[first], client.end())
	return err
}

// scaleWithoutOperator scales the apps while the operator has no pod. The operator scales all Deployments when it runs again; one pod each starts.
func scaleWithoutOperator(ctx context.Context, r *round) error {
	r.lab.say("  scale the operator to 0")
	r.addEvent("", "scale the operator to 0")
	restore := func(ctx context.Context) error {
		r.addEvent("", fmt.Sprintf("scale the operator to %d", operatorReplicas))
		if err := r.lab.patchOperator(ctx, replicasPatch(operatorReplicas)); err != nil {
			return err
		}
		return r.awaitOperator(ctx)
	}
	err := r.lab.patchOperator(ctx, replicasPatch(0))
	if err == nil {
		err = r.awaitOperator(ctx)
	}
	if err == nil {
		err = r.changeAppsAtOnce(ctx, "scale to 3", func(w *workload) error { return w.scale(ctx, r.lab.testbed, 3) })
	}
	if err == nil {
		err = r.waitUnderLoad(ctx, 8*time.Second)
	}
	if restoreErr := restore(context.WithoutCancel(ctx)); err == nil {
		err = restoreErr
	}
	if err != nil {
		return err
	}
	if err := r.settle(ctx); err != nil {
		return err
	}
	return r.scaleTo(ctx, 1)
}

func (l *lab) patchOperator(ctx context.Context, body string) error {
	_, err := l.testbed.Kube.AppsV1().Deployments(operatorNamespace).
		Patch(ctx, operatorDeployment, types.MergePatchType, []byte(body), metav1.PatchOptions{})
	if err != nil {
		return fmt.Errorf("patching the operator: %w", err)
	}
	return nil
}

// awaitOperator waits until all pods of the operator are available, or gone if it has no replicas. It looks at the pods too: directly after they were
// killed, the status of the Deployment still counts them.
func (r *round) awaitOperator(ctx context.Context) error {
	return r.waitFor(ctx, "the operator", 3*time.Minute, func(ctx context.Context) (testbed.Pending, error) {
		d, err := r.lab.testbed.Kube.AppsV1().Deployments(operatorNamespace).Get(ctx, operatorDeployment, metav1.GetOptions{})
		if err != nil {
			return testbed.Pending(err.Error()), nil //nolint:nilerr // the scenario may have killed the API server
		}
		pods, err := r.lab.testbed.Kube.CoreV1().Pods(operatorNamespace).List(ctx, metav1.ListOptions{LabelSelector: operatorSelector})
		if err != nil {
			return testbed.Pending(err.Error()), nil //nolint:nilerr // as above
		}
		want, ready := *d.Spec.Replicas, int32(countReady(pods.Items))
		if d.Status.ObservedGeneration < d.Generation || d.Status.UpdatedReplicas != want || d.Status.AvailableReplicas != want || d.Status.Replicas != want || ready != want {
			return testbed.Pending(fmt.Sprintf("%d of %d pods available, %d Ready", d.Status.AvailableReplicas, want, ready)), nil
		}
		if want == 0 && len(pods.Items) > 0 {
			return testbed.Pending(fmt.Sprintf("%d pods are terminating", len(pods.Items))), nil
		}
		return testbed.Done, nil
	})
}

// countReady counts the Ready pods that are not terminating. Pure.
func countReady(pods []corev1.Pod) int {
	n := 0
	for _, pod := range pods {
		if pod.DeletionTimestamp == nil && slices.ContainsFunc(pod.Status.Conditions, isReady) {
			n++
		}
	}
	return n
}

func isReady(c corev1.PodCondition) bool {
	return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
}

// admissionClient sends dry-run patches of a spec continuously.
type admissionClient struct {
	stop    context.CancelFunc
	running sync.WaitGroup
	row     report.Row
}

// admissionInterval makes some hundred requests during a rollout of the operator.
const admissionInterval = 100 * time.Millisecond

func (r *round) startAdmissionClient(ctx context.Context) *admissionClient {
	ctx, stop := context.WithCancel(ctx)
	a := &admissionClient{stop: stop, row: report.Row{Client: "admission", Promised: true, ClosedLoop: true}}
	ledger := load.NewLedger()
	a.running.Go(func() {
		again := time.NewTicker(admissionInterval)
		defer again.Stop()
		for n := 0; ; n++ {
			select {
			case <-again.C:
			case <-ctx.Done():
				a.row.Count, a.row.Latency = ledger.Total(), ledger.Latency()
				return
			}
			ledger.Add(r.dryRunPatch(ctx, n))
		}
	})
	return a
}

// dryRunPatch sends one request. It is lost if the API server could not call the webhook.
func (r *round) dryRunPatch(ctx context.Context, n int) load.Record {
	w := r.lab.suite.workloads[0]
	begin := time.Now()
	err := r.lab.testbed.Patch(ctx, w.object(), client.RawPatch(types.MergePatchType, []byte(versionPatch(fmt.Sprint("admission-", n)))), client.DryRunAll)
	record := load.Record{Sent: begin, Latency: time.Since(begin), Outcome: load.Answered}
	switch {
	case ctx.Err() != nil:
		record.Outcome = load.Cancelled
	case err != nil && strings.Contains(err.Error(), "failed calling webhook"):
		record.Outcome = load.Lost
		r.lab.say("  the API server could not call the webhook: %v", err)
	case err != nil:
		record.Outcome = load.Rejected
	}
	return record
}

func (a *admissionClient) end() report.Row {
	a.stop()
	a.running.Wait()
	return a.row
}
