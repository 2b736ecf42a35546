package lab

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

func changeBehindSidecar(ctx context.Context, r *round) error {
	if err := r.scaleTo(ctx, 4, 1, 2); err != nil {
		return err
	}
	if err := r.patch(ctx, "roll out", versionPatch(r.lab.version())); err != nil {
		return err
	}
	return r.onePodEach(ctx, "delete a pod", 1, func(pod *corev1.Pod) error { return r.lab.testbed.Delete(ctx, pod) })
}

// restartContainers makes the liveness probe of one pod of each workload fail, and waits until the kubelet has restarted its container.
func restartContainers(ctx context.Context, r *round) error {
	const text = "let a liveness probe fail"
	r.lab.say("  %s", text)
	return r.changeAlone(ctx, func(w *workload) error {
		pod, err := r.oldest(ctx, w)
		if err != nil {
			return err
		}
		r.addEvent(w.name, text)
		if err := r.lab.call(ctx, pod, "/hang"); err != nil {
			return err
		}
		return r.awaitRestart(ctx, pod)
	})
}

// killKubelet kills the kubelet of one node after a scale-down, while the hooks of the pods run. The embedded cluster starts it again; the new one calls the
// hooks again.
func killKubelet(ctx context.Context, r *round) error {
	if err := r.scaleDownAtOnce(ctx, 1); err != nil {
		return err
	}
	if err := r.waitUnderLoad(ctx, 2*time.Second); err != nil {
		return err
	}
	r.lab.say("  kill the kubelet of one node")
	r.addEvent("", "kill the kubelet of one node")
	if err := r.lab.signalComponent(ctx, "kubelet", syscall.SIGKILL); err != nil {
		return err
	}
	return r.settle(ctx)
}

func deleteWithShortGrace(ctx context.Context, r *round) error {
	return r.onePodEach(ctx, "delete a pod with a grace period of 3 s", 2, func(pod *corev1.Pod) error {
		return r.lab.testbed.Delete(ctx, pod, client.GracePeriodSeconds(3))
	})
}

func switchSidecar(ctx context.Context, r *round) error {
	for _, mode := range []v1alpha1.DrainMode{v1alpha1.DrainModeSidecar, v1alpha1.DrainModeHook} {
		err := r.change(ctx, fmt.Sprintf("drain mode %s", mode), func(w *workload) error {
			if w.managed {
				return w.patch(ctx, r.lab.testbed, fmt.Sprintf(`{"spec":{"drain":{"mode":%q}}}`, mode))
			}
			return w.patch(ctx, r.lab.testbed, versionPatch(r.lab.version()))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// call sends a GET request to the server of a pod, past its sidecar.
func (l *lab) call(ctx context.Context, pod *corev1.Pod, path string) error {
	url := "http://" + net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(helloPort)) + path
	if _, ok := l.get(ctx, corev1.PodSpec{NodeName: pod.Spec.NodeName}, url); !ok {
		return fmt.Errorf("the pod %s does not answer a call of %s", pod.Name, path)
	}
	return nil
}

// awaitRestart waits until the first container of the pod has been restarted.
func (r *round) awaitRestart(ctx context.Context, pod *corev1.Pod) error {
	return r.waitFor(ctx, "the restart of the container in "+pod.Name, settleLimit, func(ctx context.Context) (testbed.Pending, error) {
		err := r.lab.testbed.Get(ctx, client.ObjectKeyFromObject(pod), pod)
		if err != nil || pod.Status.ContainerStatuses[0].RestartCount > 0 {
			return testbed.Done, err
		}
		return "it has not been restarted", nil
	})
}
