package drainproxy

import (
	"testing"
	"time"
)

var testTimes = Times{Request: 4 * time.Second, PreStop: 5 * time.Second, Exit: 6 * time.Second}

func elapse(d time.Duration) func(*Machine) {
	return func(m *Machine) { m.Observe(Observation{Elapsed: d}) }
}
func observe(o Observation) func(*Machine) { return func(m *Machine) { m.Observe(o) } }
func whileBusy(d time.Duration) func(*Machine) {
	return observe(Observation{Elapsed: d, InFlight: true})
}
func steps(all ...func(*Machine)) []func(*Machine) { return all }

func TestMachine(t *testing.T) {
	proxyHook, appHook := (*Machine).ProxyHook, (*Machine).AppHook
	ended, refused := observe(Observation{Ended: true}), observe(Observation{AppRefuses: true})
	for _, c := range []struct {
		name  string
		steps []func(*Machine)
		want  State
	}{
		{name: "time alone changes nothing", steps: steps(elapse(time.Hour)), want: Serving},
		{name: "deletion, the app's hook first", steps: steps(appHook, proxyHook), want: Draining},
		{name: "deletion, the proxy's hook first", steps: steps(proxyHook, appHook), want: Draining},
		{name: "the hooks again", steps: steps(proxyHook, elapse(4*time.Second), proxyHook, appHook, elapse(time.Second)), want: Closing},
		{name: "just before t2", steps: steps(proxyHook, elapse(5*time.Second-1)), want: Draining},
		{name: "requests in flight", steps: steps(proxyHook, elapse(5*time.Second), whileBusy(time.Hour)), want: Closing},
		{name: "an end before t2 is not the end of closing", steps: steps(proxyHook, ended), want: Draining},
		{name: "drained", steps: steps(proxyHook, elapse(5*time.Second), ended), want: Drained},
		{name: "a hook after the end", steps: steps(proxyHook, elapse(5*time.Second), ended, appHook, proxyHook, elapse(time.Hour)), want: Drained},
		{name: "restart: the proxy's hook may still come", steps: steps(appHook, elapse(3*time.Second-1)), want: HookCalled},
		{name: "restart", steps: steps(appHook, whileBusy(3*time.Second)), want: Stopping},
		{name: "restart: nothing is in flight", steps: steps(appHook, elapse(3*time.Second), elapse(0)), want: Restarting},
		{name: "restart: a request is in flight", steps: steps(appHook, whileBusy(3*time.Second), whileBusy(5*time.Second-1)), want: Stopping},
		{name: "restart: a request exceeds R", steps: steps(appHook, whileBusy(3*time.Second), whileBusy(5*time.Second)), want: Restarting},
		{name: "restart: the app has not exited", steps: steps(appHook, elapse(3*time.Second), elapse(0), elapse(15*time.Second-1)), want: Restarting},
		{name: "restart: the app has exited", steps: steps(appHook, elapse(3*time.Second), elapse(0), refused), want: Serving},
		{name: "restart: the app ignored SIGTERM and was killed", steps: steps(appHook, elapse(3*time.Second), elapse(0), elapse(15*time.Second)), want: Serving},
		{name: "deletion late after the app's hook", steps: steps(appHook, elapse(2*time.Second), proxyHook), want: Draining},
		{name: "deletion while requests end", steps: steps(appHook, whileBusy(3*time.Second), proxyHook), want: Draining},
		{name: "deletion while the app restarts", steps: steps(appHook, elapse(3*time.Second), elapse(0), proxyHook, appHook), want: Draining},
		{name: "a second restart before the end of the first", steps: steps(appHook, elapse(3*time.Second), elapse(0), appHook), want: Stopping},
		{name: "a second restart: the proxy's hook may still come", steps: steps(appHook, elapse(3*time.Second), elapse(0), appHook, elapse(3*time.Second-1)), want: Stopping},
		{name: "a second restart goes on", steps: steps(appHook, elapse(3*time.Second), elapse(0), appHook, elapse(3*time.Second)), want: Restarting},
		{name: "another container's hook while requests end", steps: steps(appHook, whileBusy(3*time.Second), appHook, elapse(0)), want: Stopping},
		{name: "a second restart", steps: steps(appHook, elapse(3*time.Second), elapse(0), refused, appHook, whileBusy(3*time.Second)), want: Stopping},
	} {
		m := NewMachine(testTimes)
		for _, step := range c.steps {
			step(&m)
		}
		if m.State() != c.want {
			t.Errorf("%s: %s, want %s", c.name, m.State(), c.want)
		}
	}
}

// A request of hours leaves the app time to end before the kubelet kills it.
func TestALongRequestDelaysARestart(t *testing.T) {
	m := NewMachine(Times{Request: time.Hour})
	m.AppHook()
	whileBusy(awaitProxyHook)(&m)
	whileBusy(maxRestartRequest + requestMargin)(&m)
	if m.State() != Restarting {
		t.Errorf("%s, want %s", m.State(), Restarting)
	}
}
