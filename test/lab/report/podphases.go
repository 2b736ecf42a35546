package report

import "time"

// phase is a phase of a pod from its creation to its end.
type phase string

const (
	starting  phase = "starting"  // created, not yet Ready
	ready     phase = "ready"     // Ready
	draining  phase = "draining"  // deleted, before SIGTERM: the preStop hook runs
	finishing phase = "finishing" // after SIGTERM, before the container ended
)

// sigkilled is the exit code of a container that SIGKILL ended, 128 + 9.
const sigkilled = 137

// band is a phase with its begin and end.
type band struct {
	Phase    phase
	From, To time.Time
}

// bands returns the phases of a pod that was observed until end. The clocks of lab and node may differ. A phase that seems to begin before the previous
// one begins at the same time.
func bands(p Pod, end time.Time) []band {
	if !p.Ended.IsZero() {
		end = p.Ended
	}
	// Each event begins a phase and ends the previous one.
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

// deadlines are the times at which the steps of a pod's termination are due: Term for SIGTERM, Shutdown for the end of t1, Kill for SIGKILL.
type deadlines struct {
	Deleted, Term, Shutdown, Kill time.Time
}

// deadlinesOf returns the deadlines of a pod, or false if the pod was not deleted.
func deadlinesOf(p Pod, t Timing) (deadlines, bool) {
	after := func(s int32) time.Time { return p.Deleted.Add(time.Duration(s) * time.Second) }
	return deadlines{
		Deleted: p.Deleted, Term: after(t.PreStopSeconds), Shutdown: after(t.PreStopSeconds + t.ShutdownSeconds), Kill: after(t.TerminationGrace),
	}, !p.Deleted.IsZero()
}

// Killed reports whether SIGKILL ended the container.
func (p Pod) Killed() bool { return p.ExitCode != nil && *p.ExitCode == sigkilled }
