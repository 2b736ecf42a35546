package plan

import "time"

// RestartedAt is the annotation of a pod template that `kubectl rollout restart` sets to the current time.
const RestartedAt = "kubectl.kubernetes.io/restartedAt"

// restartedAt decides the annotation for a template that has it, as an exported manifest does. The later time wins, so that the operator reverts
// neither a restart by kubectl nor a restart by the app's owner. Equal times in two notations do not restart the pods.
func restartedAt(written string, running Running) string {
	if running.Deployment == nil {
		return written
	}
	live := running.Deployment.Spec.Template.Annotations[RestartedAt]
	liveTime, err := time.Parse(time.RFC3339, live)
	if err != nil {
		return written
	}
	if writtenTime, err := time.Parse(time.RFC3339, written); err == nil && writtenTime.After(liveTime) {
		return written
	}
	return live
}
