package controllers

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// watchDrains watches the deletion of the pods with a drain sidecar. It does not wait for the first list of pods: with the ClusterRole of an older version the
// operator may not watch them, and must work all the same.
func (r *GracefulAppReconciler) watchDrains(mgr ctrl.Manager) error {
	return mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		informer, err := mgr.GetCache().GetInformer(ctx, &corev1.Pod{}, cache.BlockUntilSynced(false))
		if err != nil {
			return err
		}
		_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{DeleteFunc: func(object any) {
			if pod, ok := object.(*corev1.Pod); ok { // otherwise the watch has missed the end of the pod
				r.reportDrainEnd(ctx, pod)
			}
		}})
		return err
	}))
}

// reportDrainEnd records an event if the drain sidecar of a deleted pod failed. The event has no related object, so that those of several pods make one series.
func (r *GracefulAppReconciler) reportDrainEnd(ctx context.Context, pod *corev1.Pod) {
	end := plan.DrainEnd(pod)
	if end == nil || end.ExitCode == 0 {
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

func drainNote(pod string, end corev1.ContainerStateTerminated) string {
	if end.ExitCode == killedExitCode {
		return fmt.Sprintf("pod %s: the drain sidecar was ended by SIGKILL (%s), so requests may be lost", pod, end.Reason)
	}
	return fmt.Sprintf("pod %s: the drain sidecar ended with exit code %d: %s; if its requests take longer than spec.timing.requestSeconds, increase that",
		pod, end.ExitCode, strings.TrimSpace(end.Message))
}
