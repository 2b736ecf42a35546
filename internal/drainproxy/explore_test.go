package drainproxy

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// The model has a pod with the kubelet's hooks, an app that drops its requests at SIGTERM, and a client. Time goes by in seconds. A test visits every state that
// any sequence of events can reach.

// exploredTimes are small, so that the number of states is.
var exploredTimes = Times{Request: 2 * time.Second, PreStop: 2 * time.Second, Exit: time.Second}

type appState string

const (
	up       appState = "up"
	stopping appState = "stopping" // it has got SIGTERM and drops every request
	down     appState = "down"     // its port refuses
)

// modelState is a state of the model. It is comparable.
type modelState struct {
	machine   State
	inState   time.Duration
	sinceHook time.Duration // at most awaitProxyHook

	app      appState
	appSince int // seconds since SIGTERM
	// request is 0 if the app works on none, or 1 plus its age in seconds.
	request    int
	held       bool // a request waits
	heldSince  int
	restarts   bool // the container restarts: a request may wait
	hook       bool // the app's hook has not returned
	hookSince  int
	ofDeletion bool // the kubelet has called the hook because of the deletion
	deleted    bool
	drainDue   bool // the kubelet has yet to call the app's hook
	leaveDue   bool // the kubelet has yet to call the proxy's hook
	accepting  bool
	age        int // seconds since the deletion, at most maxAge
}

const (
	// maxAge is more than every bound of the model in seconds.
	maxAge = 12
	// maxQuiet is the longest time in seconds until a server without requests ends.
	maxQuiet = 3
)

// model has the decisions that a test may break.
type model struct {
	rules    []transition
	holds    func(*Machine) bool
	releases func(*Machine) bool
}

func newModel() model {
	return model{rules: slices.Clone(transitions), holds: (*Machine).HoldsRequests, releases: (*Machine).ReleasesApp}
}

// event changes the modelState. It returns false if it cannot happen.
type event struct {
	name string
	do   func(model, *modelState) (possible bool, fault string)
}

func (md model) machine(w *modelState) *Machine {
	return &Machine{times: exploredTimes, rules: md.rules, state: w.machine, inState: w.inState, sinceHook: w.sinceHook}
}

// act changes the machine and lets the modelState follow.
func (md model) act(w *modelState, f func(*Machine)) (fault string) {
	m := md.machine(w)
	f(m)
	w.machine, w.inState, w.sinceHook = m.state, m.inState, min(m.sinceHook, awaitProxyHook)
	if w.machine == Serving || w.machine == Drained {
		w.inState = 0 // time changes nothing there
	}
	if w.machine != HookCalled && w.machine != Stopping {
		w.sinceHook = 0 // nothing depends on it
	}
	w.restarts = w.restarts && w.machine != Serving
	if w.machine == Closing && w.inState > maxAge*time.Second {
		w.inState = maxAge * time.Second
	}
	if w.hook && md.releases(m) {
		w.hook = false
		fault = w.sigterm()
	}
	switch {
	case !w.held || md.holds(m):
	case w.app != down:
		w.held = false
		return first(fault, w.forward())
	case w.deleted: // it gets 502 after holdRefused: the contract names a pod that is deleted while its container restarts
		w.held = false
	}
	return fault
}

func first(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

// sigterm sends SIGTERM to the app, as the kubelet does when the hook has returned.
func (w *modelState) sigterm() (fault string) {
	if w.app != up {
		return ""
	}
	w.app, w.appSince = stopping, 0
	switch {
	case w.request > 0:
		return "the app gets SIGTERM while it works on a request"
	case w.ofDeletion && w.machine != Drained:
		return "the app of a deleted pod gets SIGTERM before the drain has ended"
	}
	return ""
}

// forward sends a request to the app.
func (w *modelState) forward() (fault string) {
	// A pod that is deleted while its container restarts has no app any more: the contract names this.
	if w.app == stopping && !w.deleted {
		return "a request reaches the app after its SIGTERM"
	}
	if w.app == up {
		w.request = max(w.request, 1)
	}
	return ""
}

var events = []event{
	{name: "request", do: func(md model, w *modelState) (bool, string) {
		switch {
		case w.request > 0 || w.held || w.app == down:
			return false, ""
		case !w.accepting && w.age < int(exploredTimes.PreStop/time.Second):
			return true, "a connection is refused before t2"
		case !w.accepting:
			return false, ""
		case md.holds(md.machine(w)):
			w.held = true
			if !w.restarts {
				return true, "a request waits although no container restarts"
			}
			return true, ""
		}
		return true, w.forward()
	}},
	{name: "response", do: func(_ model, w *modelState) (bool, string) {
		possible := w.request > 0
		w.request = 0
		return possible, ""
	}},
	{name: "container restart", do: func(md model, w *modelState) (bool, string) {
		if w.deleted || w.hook || w.app != up {
			return false, ""
		}
		w.hook, w.hookSince, w.restarts = true, 0, true
		w.heldSince = 0 // the model has no backoff between restarts, the kubelet has one of 10 s and more
		return true, md.act(w, (*Machine).AppHook)
	}},
	{name: "deletion", do: func(_ model, w *modelState) (bool, string) {
		if w.deleted {
			return false, ""
		}
		w.deleted, w.drainDue, w.leaveDue = true, w.app == up, true
		return true, ""
	}},
	{name: "app's hook", do: func(md model, w *modelState) (bool, string) {
		if !w.drainDue {
			return false, ""
		}
		w.drainDue, w.hook, w.hookSince, w.ofDeletion = false, true, 0, true
		return true, md.act(w, (*Machine).AppHook)
	}},
	{name: "proxy's hook", do: func(md model, w *modelState) (bool, string) {
		if !w.leaveDue {
			return false, ""
		}
		w.leaveDue = false
		return true, md.act(w, (*Machine).ProxyHook)
	}},
	{name: "a hook again", do: func(md model, w *modelState) (bool, string) {
		if !w.deleted || w.drainDue || w.leaveDue {
			return false, ""
		}
		return true, first(md.act(w, (*Machine).AppHook), md.act(w, (*Machine).ProxyHook))
	}},
	{name: "second", do: passSecond},
	{name: "observation", do: func(md model, w *modelState) (bool, string) {
		return true, md.act(w, func(m *Machine) { m.Observe(Observation{InFlight: w.request > 0, AppRefuses: w.app == down}) })
	}},
	{name: "app exits", do: func(_ model, w *modelState) (bool, string) {
		possible := w.app == stopping
		if possible {
			w.app, w.appSince = down, 0
		}
		return possible, ""
	}},
	{name: "app starts", do: func(md model, w *modelState) (bool, string) {
		if w.app != down || w.deleted {
			return false, ""
		}
		w.app = up
		return true, md.act(w, func(*Machine) {})
	}},
	{name: "servers end", do: func(md model, w *modelState) (bool, string) {
		// Package drain ends a server when it has answered what came, which its own tests prove.
		if w.machine != Closing || w.request > 0 || w.held {
			return false, ""
		}
		w.accepting = false
		return true, md.act(w, func(m *Machine) { m.Observe(Observation{Ended: true, AppRefuses: w.app == down}) })
	}},
}

// passSecond lets a second go by. Requests and exits take no longer than the contract says.
func passSecond(md model, w *modelState) (bool, string) {
	r, s := int(exploredTimes.Request/time.Second), int(exploredTimes.Exit/time.Second)
	switch {
	case w.drainDue || w.leaveDue: // both hooks are called in the same second
		return false, ""
	case w.request > r || w.app == stopping && w.appSince >= s:
		return false, ""
	case w.machine == Closing && w.accepting && w.request == 0 && !w.held && w.inState >= maxQuiet*time.Second:
		return false, ""
	}
	if w.request > 0 {
		w.request++
	}
	if w.app == stopping {
		w.appSince++
	}
	if w.deleted {
		w.age = min(w.age+1, maxAge)
	}
	count(&w.hookSince, w.hook)
	count(&w.heldSince, w.held && w.app == up)
	switch {
	case w.hookSince >= maxAge && w.request == 0:
		return true, "the app's hook does not return"
	case w.heldSince >= maxAge:
		return true, "a request waits forever"
	}
	return true, md.act(w, func(m *Machine) {
		m.Observe(Observation{Elapsed: time.Second, InFlight: w.request > 0, AppRefuses: w.app == down})
	})
}

// count counts the seconds while a condition holds.
func count(seconds *int, holds bool) {
	if !holds {
		*seconds = 0
		return
	}
	*seconds = min(*seconds+1, maxAge)
}

// step is a state and how it was reached.
type step struct {
	from  modelState
	event string
}

// explore visits every state, and returns the shortest sequence of events to a fault.
func (md model) explore() (visited int, trace []string, fault string) {
	start := modelState{machine: Serving, app: up, accepting: true}
	reached := map[modelState]step{start: {}}
	for queue := []modelState{start}; len(queue) > 0; queue = queue[1:] {
		for _, e := range events {
			next := queue[0]
			possible, fault := e.do(md, &next)
			if !possible {
				continue
			}
			if fault != "" {
				return len(reached), append(traceTo(reached, queue[0]), e.name), fault
			}
			if _, known := reached[next]; !known {
				reached[next] = step{from: queue[0], event: e.name}
				queue = append(queue, next)
			}
		}
	}
	return len(reached), nil, ""
}

func traceTo(reached map[modelState]step, w modelState) []string {
	var trace []string
	for s := reached[w]; s.event != ""; s = reached[s.from] {
		trace = append(trace, s.event)
	}
	slices.Reverse(trace)
	return trace
}

func TestNoSequenceOfEventsDropsARequest(t *testing.T) {
	visited, trace, fault := newModel().explore()
	if fault != "" {
		t.Fatalf("%s: %q", fault, trace)
	}
	t.Logf("%d states", visited)
	if visited < 100 {
		t.Errorf("only %d states: the model does not move", visited)
	}
}

// Each guard is needed: without it, some sequence of events drops a request or never ends.
func TestEachGuardIsNeeded(t *testing.T) {
	never := func(*Machine) bool { return false }
	mutants := map[string]func(*model){
		"requests are held":             func(md *model) { md.holds = never },
		"the app waits for its SIGTERM": func(md *model) { md.releases = func(*Machine) bool { return true } },
		"the app gets SIGTERM":          func(md *model) { md.releases = never },
		"a hook in a restart may be that of a deletion": func(md *model) {
			i := slices.IndexFunc(md.rules, func(r transition) bool { return r.from == Stopping })
			md.rules[i].when = func(m *Machine, o Observation) bool { return !o.InFlight || m.inState >= m.times.restartRequest() }
		},
	}
	for i, rule := range transitions {
		name := fmt.Sprintf("%s -> %s", rule.from, rule.to)
		mutants[name+" waits"] = func(md *model) {
			md.rules[i].when = func(*Machine, Observation) bool { return true }
		}
		mutants[name+" happens"] = func(md *model) {
			md.rules[i].when = func(*Machine, Observation) bool { return false }
		}
	}
	for name, mutate := range mutants {
		md := newModel()
		mutate(&md)
		if visited, trace, fault := md.explore(); fault == "" {
			t.Errorf("without the guard that %s, no fault in %d states", name, visited)
		} else {
			t.Logf("without the guard that %s: %s after %q", name, fault, trace)
		}
	}
}
