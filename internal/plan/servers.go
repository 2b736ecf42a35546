package plan

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// server is a container that gets requests. Its probes, preStop hook and environment are derived, checked and warned about.
type server struct {
	path *field.Path
	// written is the container in the user's template, derived the one in the derived template.
	written, derived *corev1.Container
	// serving is true for the serving container (docs/glossary.md). It gets requests from the Service, or from a proxy in the same pod.
	serving bool
	// native is a native sidecar: an init container with restartPolicy Always.
	native bool
	// targeted is true if a Service port targets the container. If Service ports target no container, it is true for the serving container.
	targeted bool
}

// findServers returns the serving container and, from derivation version 2 on, each container and native sidecar that a Service port targets. It
// leaves out a serving container without a TCP port if Service ports target other containers, because it has nothing to probe: php-fpm on a Unix
// socket behind nginx.
func (in *input) findServers() []server {
	all := in.longRunningContainers()
	found := false
	for i := range all {
		all[i].targeted = in.version >= 2 && slices.ContainsFunc(all[i].derived.Ports, in.isTarget)
		found = found || all[i].targeted
	}
	for i := range all {
		all[i].targeted = all[i].targeted || all[i].serving && !found
	}
	return slices.DeleteFunc(all, func(s server) bool {
		return !s.targeted && (!s.serving || firstTCPPort(*s.written) < 0)
	})
}

// longRunningContainers returns the containers and native sidecars that run as long as the pod serves.
func (in *input) longRunningContainers() []server {
	written, derived := &in.spec().Template.Spec, &in.template.Spec
	var all []server
	for i := range written.Containers {
		all = append(all, server{
			path: containerPath.Index(i), written: &written.Containers[i], derived: &derived.Containers[i], serving: i == in.servingIndex,
		})
	}
	for i := range written.InitContainers {
		if isNativeSidecar(written.InitContainers[i]) {
			all = append(all, server{
				path: initContainerPath.Index(i), written: &written.InitContainers[i], derived: &derived.InitContainers[i], native: true,
			})
		}
	}
	return all
}

// isTarget reports whether a Service port targets this container port.
func (in *input) isTarget(port corev1.ContainerPort) bool {
	return port.Name != "" && slices.ContainsFunc(in.ports, func(p corev1.ServicePort) bool {
		return p.TargetPort.StrVal == port.Name && p.Protocol == protocol(port.Protocol)
	})
}

// probedPort returns the name of the port that a probe without a handler gets, or "". A port of a further container that no Service
// port targets may be open on localhost only.
func (in *input) probedPort(s server) string {
	first := ""
	for _, p := range s.derived.Ports {
		switch {
		case protocol(p.Protocol) != corev1.ProtocolTCP:
		case in.version >= 2 && in.isTarget(p):
			return p.Name
		case s.serving && first == "":
			first = p.Name
		}
	}
	return first
}

// isServer reports whether the container of this name is a server.
func (in *input) isServer(name string) bool {
	return slices.ContainsFunc(in.servers, func(s server) bool { return s.written.Name == name })
}

func (in *input) serverNames() []string {
	var names []string
	for _, s := range in.servers {
		names = append(names, s.written.Name)
	}
	return names
}

// startupBudget returns how long the containers of a pod may take to start: native sidecars start one after another, then the containers at once.
// A spec of at most maxSpecBytes has too few containers for the sum to exceed int32.
func (in *input) startupBudget() int32 {
	var sidecars, slowest int64
	if in.drainsBySidecar() {
		sidecars = drainStartSeconds
	}
	for _, s := range in.longRunningContainers() {
		if s.native {
			sidecars += startupBudgetOf(s.derived.StartupProbe)
		} else {
			slowest = max(slowest, startupBudgetOf(s.derived.StartupProbe))
		}
	}
	return int32(sidecars + slowest)
}

// livenessBudget returns the shortest time after which a server that fails its liveness probe is restarted.
func (in *input) livenessBudget() int32 {
	var shortest int64
	for _, s := range in.servers {
		if p := s.derived.LivenessProbe; p != nil && (shortest == 0 || toleranceOf(p) < shortest) {
			shortest = toleranceOf(p)
		}
	}
	return int32(shortest)
}

// serverCheck returns the errors of one server.
type serverCheck func(*input, server) field.ErrorList

// ofServingContainer returns a check of the spec that runs the given check for the serving container.
func ofServingContainer(find serverCheck) func(*input) field.ErrorList {
	return ofServers(func(s server) bool { return s.serving }, find)
}

// ofFurtherServers returns a check of the spec that runs the given checks for each further container that a Service port targets.
func ofFurtherServers(find ...serverCheck) func(*input) field.ErrorList {
	return ofServers(func(s server) bool { return !s.serving }, find...)
}

func ofServers(matches func(server) bool, find ...serverCheck) func(*input) field.ErrorList {
	return func(in *input) field.ErrorList {
		var errs field.ErrorList
		for _, s := range in.servers {
			for _, f := range find {
				if matches(s) {
					errs = append(errs, f(in, s)...)
				}
			}
		}
		return errs
	}
}

// ofEachServer returns a function that collects the warnings about every server.
func ofEachServer(find func(*input, server) []string) func(*input) []string {
	return func(in *input) []string {
		var all []string
		for _, s := range in.servers {
			all = append(all, find(in, s)...)
		}
		return all
	}
}
