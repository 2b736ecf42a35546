package children

import (
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
	if isNodeNotReady(pod, ready) {
		return reason{text: "node " + pod.Spec.NodeName + " is not ready", rank: failing}
	}
	if c := podCondition(pod, corev1.PodScheduled); c != nil && c.Status == corev1.ConditionFalse {
		return reason{text: withDetail("cannot be scheduled", c.Message), rank: failing}
	}
	if text := containerFailure(pod, budget, now); text != "" {
		return reason{text: text, rank: failing}
	}
	if text := runningInitContainer(pod); text != "" {
		return reason{text: text, rank: slow}
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

// isNodeNotReady reports whether the node lifecycle controller has made the pod unready, because the kubelet does not answer or says that its node is not
// ready. The controller only changes the condition's status (MarkPodsNotReady in kubernetes/pkg/controller/util/node). A kubelet gives a reason.
func isNodeNotReady(pod *corev1.Pod, ready *corev1.PodCondition) bool {
	containers := podCondition(pod, corev1.ContainersReady)
	return ready != nil && ready.Reason == "" && containers != nil && containers.Status == corev1.ConditionTrue
}

// containerFailure describes the first container that fails, in the order in which they start.
func containerFailure(pod *corev1.Pod, budget time.Duration, now time.Time) string {
	for _, s := range pod.Status.InitContainerStatuses {
		if text := failureOf(s, budget, now); text != "" {
			return "init container " + s.Name + ": " + text
		}
	}
	for _, s := range pod.Status.ContainerStatuses {
		if text := failureOf(s, budget, now); text != "" {
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

func failureOf(s corev1.ContainerStatus, budget time.Duration, now time.Time) string {
	if s.Ready { // an init container that has done its work is ready
		return ""
	}
	w := s.State.Waiting
	switch {
	case w == nil, slices.Contains([]string{"", containerCreating, podInitializing, crashLoopBackOff}, w.Reason),
		w.Reason == runContainerError && s.LastTerminationState.Terminated != nil: // CrashLoopBackOff follows, with the same error
		return crashOf(s, budget, now)
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

func runningInitContainer(pod *corev1.Pod) string {
	for _, s := range pod.Status.InitContainerStatuses {
		if s.State.Running != nil && !isSidecar(pod.Spec.InitContainers, s.Name) {
			return "init container " + s.Name + " is running" + restartsOf(s)
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
		if s.State.Running != nil && !s.Ready && s.RestartCount > 0 {
			return "container " + s.Name + ": not ready" + restartsOf(s)
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
