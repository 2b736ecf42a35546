package children

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// backOffReset is twice the longest back-off of a crash: a container that has run so long is started at once after the next one
// (kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy).
const backOffReset = 10 * time.Minute

// crashOf is empty for a container that has not ended, or that outlasts its crash, or that has done its work.
func crashOf(s corev1.ContainerStatus, budget time.Duration, now time.Time) string {
	if outlastsCrash(s, budget, now) {
		return ""
	}
	end := s.State.Terminated
	if end == nil {
		end = s.LastTerminationState.Terminated
	}
	isWaiting := s.State.Waiting != nil && s.State.Waiting.Reason == crashLoopBackOff
	switch isLoop := isWaiting || s.RestartCount > 1 && runTime(end) < backOffReset; {
	case isLoop && end == nil: // the runtime has removed the ended container
		return crashLoopBackOff
	case isLoop:
		return crashLoopBackOff + ", " + exitOf(end)
	case end != nil:
		return "ended with " + exitOf(end)
	}
	return ""
}

// outlastsCrash reports whether the container runs for longer than the startup budget. In a crash loop it also has to run for longer than before: a
// liveness probe ends each run after about the same time, and the text would change in each of them.
func outlastsCrash(s corev1.ContainerStatus, budget time.Duration, now time.Time) bool {
	if s.State.Running == nil {
		return false
	}
	if last := runTime(s.LastTerminationState.Terminated); s.RestartCount > 1 && last < backOffReset {
		budget += last
	}
	return !now.Before(s.State.Running.StartedAt.Add(min(budget, backOffReset)))
}

// runTime returns 0 for a container that did not start: its start is at the Unix epoch then.
func runTime(end *corev1.ContainerStateTerminated) time.Duration {
	if end == nil || end.StartedAt.Unix() <= 0 {
		return 0
	}
	return end.FinishedAt.Sub(end.StartedAt.Time)
}

func exitOf(end *corev1.ContainerStateTerminated) string {
	code := fmt.Sprintf("exit code %d", end.ExitCode)
	if end.Reason != "" {
		code += " (" + end.Reason + ")"
	}
	if end.Reason == "StartError" || end.Reason == "ContainerCannotRun" { // the runtime's words; those of an app may hold secrets and change each time
		code = withDetail(code, end.Message)
	}
	return code
}

// restartsOf continues a text about a container that runs.
func restartsOf(s corev1.ContainerStatus) string {
	if s.RestartCount == 0 {
		return ""
	}
	text := fmt.Sprintf("; restart count %d", s.RestartCount)
	if end := s.LastTerminationState.Terminated; end != nil {
		text += ", last " + exitOf(end)
	}
	return text
}
