package plan

import (
	"fmt"
	"slices"
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

// speaksHTTP reports whether a probe shows that the server speaks HTTP.
func (s server) speaksHTTP() bool {
	return s.speaksGRPC() || slices.ContainsFunc(namedProbes(*s.written), func(p namedProbe) bool { return p.HTTPGet != nil })
}

// warnDrainSidecar warns about the effects of the drain sidecar that a user may not expect.
func warnDrainSidecar(in *input) []string {
	if !in.drainsBySidecar() {
		return nil
	}
	all := []string{
		"with the drain sidecar, every client has the pod's own address for the app, and its real one only in the header X-Forwarded-For: rate limits, allow-lists " +
			"and logs by address must use the header, and trust it only from the pod's own address; a rule that opens a path to the server's own address, such as " +
			"Apache's Require local, opens it to every client",
		"a HorizontalPodAutoscaler on the CPU of the pod counts the drain sidecar too: use a metric of type ContainerResource",
	}
	for _, p := range in.sidecarPorts().proxied {
		all = append(all, fmt.Sprintf("the drain sidecar listens on port %d in front of the app's port %d: NetworkPolicies, scrapers and other clients that use the number %d "+
			"of the pods must use the name %q or the number %d", p.listen, p.target, p.target, p.name, p.listen))
	}
	for _, s := range in.servers {
		if s.targeted && !s.speaksHTTP() {
			all = append(all, fmt.Sprintf("container %q has no HTTP or gRPC probe, so nothing shows that it speaks HTTP; the drain sidecar forwards no other protocol", s.written.Name))
		}
	}
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
	return all
}
