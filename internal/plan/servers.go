package plan

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// server is a container that gets requests. Its probes, preStop hook and environment are derived, checked and warned about.
type server struct {
	path *field.Path
	// written is the container as the user wrote it, derived as it will be.
	written, derived *corev1.Container
	// main is the container that the annotation names, else the first. It gets requests from the Service or from a proxy in the same pod.
	main bool
	// native is a native sidecar: an init container with restartPolicy Always.
	native bool
	// targeted tells whether a Service port targets the container. Where none does, the main container counts as targeted.
	targeted bool
}

// findServers returns the main container and, from derivation version 2 on, each container and native sidecar that a Service port targets. It
// leaves out a main container without a TCP port if Service ports target other containers, because it has nothing to probe: php-fpm on a Unix
// socket behind nginx.
func (in *input) findServers() []server {
	all := in.runningContainers()
	found := false
	for i := range all {
		all[i].targeted = in.version >= 2 && slices.ContainsFunc(all[i].derived.Ports, in.isTarget)
		found = found || all[i].targeted
	}
	for i := range all {
		all[i].targeted = all[i].targeted || all[i].main && !found
	}
	return slices.DeleteFunc(all, func(s server) bool {
		return !s.targeted && (!s.main || servingPort(*s.written) < 0)
	})
}

// runningContainers are those that run as long as the pod serves.
func (in *input) runningContainers() []server {
	written, derived := &in.spec().Template.Spec, &in.template.Spec
	var all []server
	for i := range written.Containers {
		all = append(all, server{
			path: containerPath.Index(i), written: &written.Containers[i], derived: &derived.Containers[i], main: i == in.serving,
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

// isTarget tells whether a Service port targets this container port.
func (in *input) isTarget(port corev1.ContainerPort) bool {
	return port.Name != "" && slices.ContainsFunc(in.ports, func(p corev1.ServicePort) bool {
		return p.TargetPort.StrVal == port.Name && p.Protocol == protocol(port.Protocol)
	})
}

// probedPort is the name of the port that a probe without a handler asks, or "". A port of a further container that no Service
// port targets may be open on localhost only.
func (in *input) probedPort(s server) string {
	first := ""
	for _, p := range s.derived.Ports {
		switch {
		case protocol(p.Protocol) != corev1.ProtocolTCP:
		case in.version >= 2 && in.isTarget(p):
			return p.Name
		case s.main && first == "":
			first = p.Name
		}
	}
	return first
}

// isServer tells whether the container of this name is a server.
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

// startupBudget is how long the servers of a pod may take to start: native sidecars start one after another, then the containers at once.
// A spec of at most maxSpecBytes has too few containers for the sum to exceed int32.
func (in *input) startupBudget() int32 {
	var sidecars, slowest int64
	for _, s := range in.servers {
		if s.native {
			sidecars += startBudget(s.derived.StartupProbe)
		} else {
			slowest = max(slowest, startBudget(s.derived.StartupProbe))
		}
	}
	return int32(sidecars + slowest)
}

// livenessBudget is the shortest time after which a server that fails its liveness probe is restarted.
func (in *input) livenessBudget() int32 {
	var shortest int64
	for _, s := range in.servers {
		if p := s.derived.LivenessProbe; p != nil && (shortest == 0 || patience(p) < shortest) {
			shortest = patience(p)
		}
	}
	return int32(shortest)
}

type serverCheck func(*input, server) field.ErrorList

// ofMain runs the check for the main container.
func ofMain(find serverCheck) func(*input) field.ErrorList {
	return ofServers(func(s server) bool { return s.main }, find)
}

// ofFurther runs the checks for the further containers that a Service port targets.
func ofFurther(find ...serverCheck) func(*input) field.ErrorList {
	return ofServers(func(s server) bool { return !s.main }, find...)
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

// warnEach collects the warnings about every server.
func warnEach(find func(*input, server) []string) func(*input) []string {
	return func(in *input) []string {
		var all []string
		for _, s := range in.servers {
			all = append(all, find(in, s)...)
		}
		return all
	}
}
