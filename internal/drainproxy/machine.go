package drainproxy

import "time"

// State is the part of the pod's life in which the proxy is.
type State string

// States of the proxy. A pod that is deleted goes from Serving to Draining, Closing and Drained. A container that is restarted in a pod that stays goes from
// Serving to Stopping, Restarting and back.
const (
	// Serving: requests are forwarded.
	Serving State = "serving"
	// HookCalled: the hook of the app's container was called, and the proxy waits whether its own hook follows. Requests are forwarded.
	HookCalled State = "hook-called"
	// Stopping: the app's container restarts. New requests wait; those in flight end.
	Stopping State = "stopping"
	// Restarting: the app gets SIGTERM. New requests still wait, because the app would drop them.
	Restarting State = "restarting"
	// Draining: the pod is deleted. Requests are forwarded, also on new connections; each response tells the client to connect again.
	Draining State = "draining"
	// Closing: the same, until no new connection has come for a while; then the proxy closes its listeners and waits for the requests in flight.
	Closing State = "closing"
	// Drained: no request is in flight, or the time for it is over. Only now may the app get SIGTERM.
	Drained State = "drained"
)

// Times are the durations of the states.
type Times struct {
	Request time.Duration // R, the longest request
	PreStop time.Duration // t2, how long proxies may need to learn of the deletion
	Exit    time.Duration // s, how long the app takes to exit when nothing is in flight
}

const (
	// awaitProxyHook is how long the proxy waits for its own hook after the app's. The kubelet runs both in the same second if the pod is deleted: in 112 pods at
	// most 165 ms apart.
	awaitProxyHook = 3 * time.Second
	// requestMargin is added to R: a request that began at the last moment must end, too.
	requestMargin = time.Second
	// exitMargin is added to s: the kubelet needs time between the end of the hook and SIGTERM.
	exitMargin = 2 * time.Second
	// maxRestartRequest limits the part of R in the grace period of a restart.
	maxRestartRequest = 300 * time.Second
	// killMargin is how long after this grace period an app that ignores SIGTERM may still accept connections.
	killMargin = 2 * time.Second
)

// Machine decides whether requests wait and when the app may get SIGTERM. It is a value without a clock: Observe gets the time that has passed, so that a test can visit every state.
type Machine struct {
	times   Times
	rules   []transition
	state   State
	inState time.Duration // since the state began

	sinceHook time.Duration // since the last call of a hook of the app
}

// restartRequest returns how long a request in flight delays a restart. The rest of the grace period is for the app's end.
func (t Times) restartRequest() time.Duration {
	return min(t.Request, maxRestartRequest) + requestMargin
}

// untilKilled returns how long after the return of the app's hook the kubelet has killed an app that does not exit. The grace period of the restart includes
// the hook, of which only awaitProxyHook is certain.
func (t Times) untilKilled() time.Duration {
	return t.restartRequest() + t.Exit + exitMargin + killMargin
}

// NewMachine returns a Machine that serves.
func NewMachine(t Times) Machine { return Machine{times: t, rules: transitions, state: Serving} }

// State returns the state.
func (m *Machine) State() State { return m.state }

// HoldsRequests reports whether a new request must wait.
func (m *Machine) HoldsRequests() bool { return m.state == Stopping || m.state == Restarting }

// ReleasesApp reports whether the hook of the app's container may return, so that the app gets SIGTERM.
func (m *Machine) ReleasesApp() bool { return m.state == Restarting || m.state == Drained }

// Leaves reports whether the pod is deleted.
func (m *Machine) Leaves() bool {
	return m.state == Draining || m.state == Closing || m.state == Drained
}

// ProxyHook is the hook of the proxy's own container: the kubelet calls it only if the pod is deleted.
func (m *Machine) ProxyHook() {
	switch m.state {
	case Serving, HookCalled, Stopping, Restarting:
		m.enter(Draining)
	}
}

// AppHook is the hook of a container of the app: the kubelet calls it if the pod is deleted, and if the container is restarted.
func (m *Machine) AppHook() {
	m.sinceHook = 0
	switch m.state {
	case Serving:
		m.enter(HookCalled)
	case Restarting: // the container has started, and restarts again
		m.enter(Stopping)
	}
}

// Observation has the facts that the proxy observes from time to time.
type Observation struct {
	Elapsed time.Duration // since the last observation
	// InFlight reports whether the app works on a request. An upgraded connection is none: it ends with the process, so waiting does not help it.
	InFlight bool
	// AppRefuses reports whether each port of the restarting container has refused connections.
	AppRefuses bool
	// Ended reports whether every server has ended: it has answered all its requests, or the time for them is over.
	Ended bool
}

// Observe makes at most one transition.
func (m *Machine) Observe(o Observation) {
	m.inState += o.Elapsed
	m.sinceHook += o.Elapsed
	for _, t := range m.rules {
		if m.state == t.from && t.when(m, o) {
			m.enter(t.to)
			return
		}
	}
}

func (m *Machine) enter(s State) { m.state, m.inState = s, 0 }

// transition is a change of the state that no hook causes.
type transition struct {
	from, to State
	when     func(*Machine, Observation) bool
}

var transitions = []transition{
	{from: HookCalled, to: Stopping, when: func(m *Machine, _ Observation) bool { return m.inState >= awaitProxyHook }},
	// The hook of another container may be that of a deletion, so the proxy's own may still follow it.
	{from: Stopping, to: Restarting, when: func(m *Machine, o Observation) bool {
		return m.sinceHook >= awaitProxyHook && (!o.InFlight || m.inState >= m.times.restartRequest())
	}},
	{from: Restarting, to: Serving, when: func(m *Machine, o Observation) bool { return o.AppRefuses || m.inState >= m.times.untilKilled() }},
	{from: Draining, to: Closing, when: func(m *Machine, _ Observation) bool { return m.inState >= m.times.PreStop }},
	{from: Closing, to: Drained, when: func(_ *Machine, o Observation) bool { return o.Ended }},
}
