package children

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// reason is why a pod is not ready, "" if it is, or may soon be. The kubelet's words change from moment to moment while the reason stays the same (a
// container that crashes is waiting, running and terminated by turns), so each text stands for all of these states.
type reason struct {
	text string
	rank int
}

const (
	failing = iota // waiting alone is unlikely to help
	slow
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

// containerFailure is about the first container that fails, in the order in which they start.
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

// pullFailures are the reasons for which the kubelet backs off: right after the attempt, a container waits for one of them.
var pullFailures = []string{"ErrImagePull", "RegistryUnavailable", "SignatureValidationFailed"}

func failureOf(s corev1.ContainerStatus, now time.Time) string {
	if s.Ready { // an init container that has done its work is ready
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

// waitingFor gives both states of a failed pull the same text. The back-off repeats the error of the attempt.
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

// backOffReset is twice the longest back-off of a crash: a container that has run so long is started at once after the next one
// (kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy).
const backOffReset = 10 * time.Minute

// crashOf is empty for a container that has not ended, or that has run on for long since, or that has done its work.
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
	if end.Reason == "StartError" || end.Reason == "ContainerCannotRun" { // the runtime's words; those of an app may hold secrets and change each time
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

// sourcePort stands in the errors of Go's net package, and is another one for each connection.
var sourcePort = regexp.MustCompile(`:\d+->`)

func withDetail(text, detail string) string {
	if detail == "" {
		return text
	}
	return text + ": " + sourcePort.ReplaceAllString(detail, "->")
}
