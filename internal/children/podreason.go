package children

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// reason says why a pod is not ready. Its text is "" if the pod is ready or still has time to become ready. A container that crashes alternates
// between waiting, running and terminated, and the kubelet reports each state. All of them get the same
// text, so that the status stays the same.
type reason struct {
	text string
	rank int
}

const (
	failing = iota // the pod probably does not become ready without a change
	slow           // the pod may become ready
)

func reasonOf(pod *corev1.Pod, budget time.Duration, now time.Time) reason {
	ready := podCondition(pod, corev1.PodReady)
	if ready != nil && ready.Status == corev1.ConditionTrue {
		return reason{}
	}
	if c := podCondition(pod, corev1.PodScheduled); c != nil && c.Status == corev1.ConditionFalse {
		return reason{text: withDetail("cannot be scheduled", c.Message), rank: failing}
	}
	if text := containerFailure(pod, now); text != "" {
		return reason{text: text, rank: failing}
	}
	if name := runningInitContainer(pod); name != "" {
		return reason{text: "init container " + name + " is running", rank: slow}
	}
	since := pod.CreationTimestamp
	if ready != nil {
		since = ready.LastTransitionTime
	}
	if now.Before(since.Add(budget)) {
		return reason{}
	}
	return reason{text: slowness(pod, ready), rank: slow}
}

func podCondition(pod *corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	i := slices.IndexFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == kind })
	if i < 0 {
		return nil
	}
	return &pod.Status.Conditions[i]
}

// containerFailure describes the first container that fails, in the order in which the containers start.
func containerFailure(pod *corev1.Pod, now time.Time) string {
	for _, s := range pod.Status.InitContainerStatuses {
		if text := failureOf(s, now); text != "" {
			return "init container " + s.Name + ": " + text
		}
	}
	for _, s := range pod.Status.ContainerStatuses {
		if text := failureOf(s, now); text != "" {
			return "container " + s.Name + ": " + text
		}
	}
	return ""
}

// Reasons of a waiting container (kubernetes/pkg/kubelet/container/sync_result.go and pkg/kubelet/images/types.go).
const (
	containerCreating = "ContainerCreating"
	podInitializing   = "PodInitializing"
	crashLoopBackOff  = "CrashLoopBackOff"
	imagePullBackOff  = "ImagePullBackOff"
	runContainerError = "RunContainerError"
)

// pullFailures are the waiting reasons after a failed image pull. The kubelet then backs off, and the reason becomes ImagePullBackOff.
var pullFailures = []string{"ErrImagePull", "RegistryUnavailable", "SignatureValidationFailed"}

func failureOf(s corev1.ContainerStatus, now time.Time) string {
	if s.Ready { // also true for an init container that has completed
		return ""
	}
	w := s.State.Waiting
	switch {
	case w == nil, slices.Contains([]string{"", containerCreating, podInitializing, crashLoopBackOff}, w.Reason),
		w.Reason == runContainerError && s.LastTerminationState.Terminated != nil: // CrashLoopBackOff follows, with the same error
		return crashOf(s, now)
	}
	return waitingFor(w)
}

// waitingFor describes a waiting container. ErrImagePull and ImagePullBackOff get the same text, because the message of ImagePullBackOff repeats the
// error of the pull.
func waitingFor(w *corev1.ContainerStateWaiting) string {
	if slices.Contains(pullFailures, w.Reason) {
		return imagePullBackOff + ": " + withDetail(w.Reason, w.Message)
	}
	message := w.Message
	if w.Reason == imagePullBackOff {
		for _, failure := range pullFailures {
			if _, after, found := strings.Cut(message, ": "+failure+": "); found {
				message = failure + ": " + after
				break
			}
		}
	}
	return withDetail(w.Reason, message)
}

// backOffReset is twice the longest back-off after a crash. The kubelet restarts a container that has run for so long without a delay
// (kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy).
const backOffReset = 10 * time.Minute

// crashOf describes the last crash of a container. It is "" if the container has not terminated, or has run for backOffReset since.
func crashOf(s corev1.ContainerStatus, now time.Time) string {
	end := s.State.Terminated
	if end == nil {
		end = s.LastTerminationState.Terminated
	}
	if end == nil || s.State.Running != nil && !now.Before(s.State.Running.StartedAt.Add(backOffReset)) {
		return ""
	}
	code := fmt.Sprintf("exit code %d", end.ExitCode)
	if end.Reason != "" {
		code += " (" + end.Reason + ")"
	}
	if end.Reason == "StartError" || end.Reason == "ContainerCannotRun" { // from the container runtime; an app's own message may hold secrets and vary
		code = withDetail(code, end.Message)
	}
	if s.RestartCount > 1 || s.State.Waiting != nil && s.State.Waiting.Reason == crashLoopBackOff {
		return crashLoopBackOff + ", " + code
	}
	return "ended with " + code
}

func runningInitContainer(pod *corev1.Pod) string {
	for _, s := range pod.Status.InitContainerStatuses {
		if s.State.Running != nil && !isSidecar(pod.Spec.InitContainers, s.Name) {
			return s.Name
		}
	}
	return ""
}

func isSidecar(containers []corev1.Container, name string) bool {
	return slices.ContainsFunc(containers, func(c corev1.Container) bool {
		return c.Name == name && c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
	})
}

func slowness(pod *corev1.Pod, ready *corev1.PodCondition) string {
	if pod.Spec.NodeName == "" {
		return "waits for its scheduler, " + pod.Spec.SchedulerName
	}
	for _, s := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if w := s.State.Waiting; w != nil && w.Reason == containerCreating {
			return "container " + s.Name + ": " + withDetail(w.Reason, w.Message)
		}
	}
	if ready == nil {
		return "not ready"
	}
	return withDetail("not ready", ready.Message)
}

// sourcePort matches the source port in errors of Go's net package. It differs for each connection, so it is removed from messages.
var sourcePort = regexp.MustCompile(`:\d+->`)

func withDetail(text, detail string) string {
	if detail == "" {
		return text
	}
	return text + ": " + sourcePort.ReplaceAllString(detail, "->")
}
