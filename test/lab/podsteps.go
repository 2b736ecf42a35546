package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubectl/pkg/drain"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/test/testbed"
)

// deletePods deletes three pods of each workload, one after the other. It waits for the replacement of each.
func deletePods(ctx context.Context, r *round) error {
	return r.onePodEach(ctx, "delete a pod", 3, func(pod *corev1.Pod) error { return r.lab.testbed.Delete(ctx, pod) })
}

// killPods deletes pods with a grace period of 0: the kubelet sends SIGKILL at once, without a preStop hook. That is similar to a crash.
func killPods(ctx context.Context, r *round) error {
	return r.onePodEach(ctx, "kill a pod", 2, func(pod *corev1.Pod) error {
		return r.lab.testbed.Delete(ctx, pod, client.GracePeriodSeconds(0))
	})
}

// evictPods evicts the pods one at a time. It retries while the disruption budget forbids an eviction.
func evictPods(ctx context.Context, r *round) error {
	return r.onePodEach(ctx, "evict a pod", r.scenario.replicas, func(pod *corev1.Pod) error { return r.evict(ctx, pod) })
}

// onePodEach calls end, which deletes or evicts a pod, for one pod of each workload.
func (r *round) onePodEach(ctx context.Context, text string, times int, end func(*corev1.Pod) error) error {
	for range times {
		err := r.change(ctx, text, func(w *workload) error {
			pod, err := r.oldest(ctx, w)
			if err != nil {
				return err
			}
			if err := end(pod); err != nil {
				return err
			}
			return r.awaitTermination(ctx, pod)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// awaitTermination waits until the cache knows that the pod is terminating or gone. Before that, the workload looks settled.
func (r *round) awaitTermination(ctx context.Context, pod *corev1.Pod) error {
	return r.waitFor(ctx, pod.Name+" to terminate", time.Minute, func(ctx context.Context) (testbed.Pending, error) {
		var now corev1.Pod
		err := r.lab.testbed.Get(ctx, client.ObjectKeyFromObject(pod), &now)
		if err != nil || now.DeletionTimestamp != nil {
			return testbed.Done, client.IgnoreNotFound(err)
		}
		return "the cache has an older version", nil
	})
}

func (r *round) oldest(ctx context.Context, w *workload) (*corev1.Pod, error) {
	pods, err := r.lab.pods(ctx, w.name)
	if err != nil {
		return nil, err
	}
	var oldest *corev1.Pod
	for i := range pods {
		if p := &pods[i]; p.DeletionTimestamp == nil && (oldest == nil || p.CreationTimestamp.Before(&oldest.CreationTimestamp)) {
			oldest = p
		}
	}
	if oldest == nil {
		return nil, fmt.Errorf("%s has no pod", w.name)
	}
	return oldest, nil
}

// evictLimit bounds the wait for a budget to allow an eviction.
const evictLimit = 2 * time.Minute

func (r *round) evict(ctx context.Context, pod *corev1.Pod) error {
	eviction := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name}}
	return r.waitFor(ctx, "the eviction of "+pod.Name, evictLimit, func(ctx context.Context) (testbed.Pending, error) {
		err := r.lab.testbed.Kube.PolicyV1().Evictions(pod.Namespace).Evict(ctx, eviction)
		if apierrors.IsTooManyRequests(err) {
			return "its disruption budget forbids the eviction", nil
		}
		return testbed.Done, client.IgnoreNotFound(err)
	})
}

// drainLimit bounds the eviction of a workload's pods from a node, each of which ends within seconds.
const drainLimit = 5 * time.Minute

// drainNodes drains one node after the other with the code of kubectl drain. It evicts only the pods of the workloads, one workload after the other.
func drainNodes(ctx context.Context, r *round) error {
	nodes, err := r.lab.testbed.Nodes(ctx)
	if err != nil {
		return err
	}
	if len(nodes) < 2 {
		return errors.New("the cluster has one node; draining it would lose requests")
	}
	for _, node := range nodes[:2] {
		if err := r.drainAndUncordon(ctx, node); err != nil {
			return err
		}
	}
	return nil
}

func (r *round) drainAndUncordon(ctx context.Context, node corev1.Node) error {
	var out bytes.Buffer
	helper := &drain.Helper{
		Ctx: ctx, Client: r.lab.testbed.Kube, GracePeriodSeconds: -1, IgnoreAllDaemonSets: true, DeleteEmptyDirData: true,
		Timeout: drainLimit, EvictErrorRetryDelay: time.Second, Out: &out, ErrOut: &out,
	}
	cordon := func(want bool) error { return drain.RunCordonOrUncordon(helper, &node, want) }
	defer func() {
		helper.Ctx = context.WithoutCancel(ctx) // uncordon the node even if the run is cancelled
		if err := cordon(false); err != nil {
			r.lab.say("  uncordon %s: %v", node.Name, err)
		}
	}()
	if err := cordon(true); err != nil {
		return fmt.Errorf("cordon %s: %w", node.Name, err)
	}
	err := r.change(ctx, "drain "+node.Name, func(w *workload) error {
		helper.PodSelector = workloadLabel + "=" + w.name
		if err := drain.RunNodeDrain(helper, node.Name); err != nil {
			return fmt.Errorf("%w\n%s", err, out.String())
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := cordon(false); err != nil {
		return err
	}
	r.lab.say("  uncordon %s", node.Name)
	r.addEvent("", "uncordon "+node.Name)
	return nil
}
