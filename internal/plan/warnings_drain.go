package plan

import (
	"fmt"
	"strings"
)

// ofHook returns a warning that concerns only apps without a drain sidecar.
func ofHook(find func(*input) []string) func(*input) []string {
	return func(in *input) []string {
		if in.drainsBySidecar() {
			return nil
		}
		return find(in)
	}
}

// warnDrainSidecar warns about the effects of the drain sidecar that a user may not expect.
func warnDrainSidecar(in *input) []string {
	if !in.drainsBySidecar() {
		return nil
	}
	all := []string{"with the drain sidecar, every client has the pod's own address for the app, and its real one only in the header X-Forwarded-For: " +
		"rate limits, allow-lists and logs by address must use the header"}
	var others []string
	for _, c := range in.spec().Template.Spec.Containers {
		if !in.isServer(c.Name) && preStopOf(c) != nil {
			others = append(others, fmt.Sprintf("%q", c.Name))
		}
	}
	if len(others) > 0 {
		all = append(all, fmt.Sprintf("container %s has a preStop hook of its own and gets SIGTERM when that ends, maybe before the drain sidecar has finished the "+
			"requests; leave the hook out if the app needs the container for its requests", strings.Join(others, ", ")))
	}
	if in.running.Autoscaler != "" {
		all = append(all, fmt.Sprintf("HorizontalPodAutoscaler %s: a target of the pod's CPU counts the drain sidecar too; use a metric of type "+
			"ContainerResource for the app's container", in.running.Autoscaler))
	}
	return all
}
