package report

import "time"

// phase of a pod's life.
type phase string

const (
	starting  phase = "starting"  // created, not yet Ready
	ready     phase = "ready"     // serves
	draining  phase = "draining"  // its deletion was asked for, SIGTERM has not come: the preStop hook runs
	finishing phase = "finishing" // SIGTERM has come, the container has not ended
)

// sigkilled is the exit code of a container that SIGKILL has ended: 128 + 9.
const sigkilled = 137

// band is a phase with its time.
type band struct {
	Phase    phase
	From, To time.Time
}

// bands of a pod that was watched until end. Clocks of API server and node differ, and the API server's times are whole seconds, so
// what seems to come before its time comes at it.
func bands(p Pod, end time.Time) []band {
	if !p.Ended.IsZero() {
		end = p.Ended
	}
	// A phase begins with one of these; later ones cut it off.
	begins := []band{
		{Phase: starting, From: p.Created},
		{Phase: ready, From: p.Ready},
		{Phase: draining, From: p.Deleted},
		{Phase: finishing, From: p.Signal},
	}
	var all []band
	for _, b := range begins {
		if b.From.IsZero() {
			continue
		}
		if n := len(all); n > 0 {
			b.From = later(b.From, all[n-1].From)
			all[n-1].To = b.From
		}
		b.To = later(end, b.From)
		all = append(all, b)
	}
	seen := all[:0]
	for _, b := range all {
		if b.To.After(b.From) {
			seen = append(seen, b)
		}
	}
	return seen
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// allowance is what a deleted pod is given: SIGTERM comes at Term, the app wants to have ended by Shutdown, SIGKILL comes at Kill.
type allowance struct {
	Deleted, Term, Shutdown, Kill time.Time
}

// allowanceOf a pod; false if nobody asked for its deletion.
func allowanceOf(p Pod, t Timing) (allowance, bool) {
	after := func(s int32) time.Time { return p.Deleted.Add(time.Duration(s) * time.Second) }
	return allowance{
		Deleted: p.Deleted, Term: after(t.PreStopSeconds), Shutdown: after(t.PreStopSeconds + t.ShutdownSeconds), Kill: after(t.TerminationGrace),
	}, !p.Deleted.IsZero()
}

// killed tells whether SIGKILL has ended the pod, and so what it was about to answer.
func (p Pod) killed() bool { return p.ExitCode != nil && *p.ExitCode == sigkilled }
