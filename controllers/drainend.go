package controllers

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/children"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// drainRetry is the wait before the next attempt to watch the pods.
const drainRetry = time.Minute

// watchDrains watches the deletion of the pods with a drain sidecar. Their cache is separate, because the controllers wait for every list of the shared one:
// with the ClusterRole of an older version the operator may not list these pods, and must work all the same.
func (r *GracefulAppReconciler) watchDrains(mgr ctrl.Manager) error {
	pods, err := cache.New(mgr.GetConfig(), cache.Options{
		HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(), ByObject: children.DrainedPods(),
		DefaultNamespaces: namespaceConfigs(r.Namespaces),
	})
	if err != nil {
		return err
	}
	reporter := toolscache.ResourceEventHandlerFuncs{DeleteFunc: func(object any) {
		if pod, ok := object.(*corev1.Pod); ok { // otherwise the watch has missed the end of the pod
			r.reportDrainEnd(context.Background(), pod)
		}
	}}
	return mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		// The wait ends early only when ctx is done, and then Start returns at once.
		_ = wait.PollUntilContextCancel(ctx, drainRetry, true, func(ctx context.Context) (bool, error) {
			informer, err := pods.GetInformer(ctx, &corev1.Pod{}, cache.BlockUntilSynced(false))
			if err == nil {
				_, err = informer.AddEventHandler(reporter)
			}
			if err != nil {
				log.FromContext(ctx).Error(err, "Watching the pods with a drain sidecar")
			}
			return err == nil, nil
		})
		return pods.Start(ctx)
	}))
}

// reportDrainEnd records an event if the drain sidecar of a deleted pod failed. The event has no related object, so that those of several pods make one
// series. A sidecar that never started has lost nothing: the kubelet reports that it ended, with an exit code, but without a start.
func (r *GracefulAppReconciler) reportDrainEnd(ctx context.Context, pod *corev1.Pod) {
	end := plan.DrainEnd(pod)
	if end == nil || end.ExitCode == 0 || end.StartedAt.IsZero() {
		return
	}
	app := newUnstructuredApp()
	if err := r.Get(ctx, client.ObjectKey{Namespace: pod.Namespace, Name: pod.Labels[plan.DrainLabel]}, app); err != nil {
		return // the app was deleted
	}
	r.Recorder.Eventf(app, nil, corev1.EventTypeWarning, v1alpha1.ReasonDrainIncomplete, "Drain", "%s", truncate(drainNote(pod.Name, *end), maxNoteBytes))
}

// killedExitCode is the exit code of a container that SIGKILL has ended.
const killedExitCode = 128 + 9

// lostExitCode is the exit code of a drain sidecar that has lost requests.
const lostExitCode = 1

func drainNote(pod string, end corev1.ContainerStateTerminated) string {
	message := strings.TrimSpace(end.Message)
	switch {
	case end.ExitCode == killedExitCode:
		return fmt.Sprintf("pod %s: the drain sidecar was ended by SIGKILL (%s), so requests may be lost", pod, end.Reason)
	case message == "":
		return fmt.Sprintf("pod %s: the drain sidecar failed with exit code %d, so requests may be lost", pod, end.ExitCode)
	case end.ExitCode == lostExitCode:
		return fmt.Sprintf("pod %s: %s; if requests take longer than spec.timing.requestSeconds, increase that", pod, message)
	}
	return fmt.Sprintf("pod %s: the drain sidecar failed, so requests may be lost: %s", pod, message)
}
