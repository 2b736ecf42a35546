package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gracefulapp/gracefulapp/test/lab/report"
)

// fault is a reason why a scenario failed.
type fault struct {
	text string
	// overload: a machine without room for the load can cause it too, as it starves kube-proxy, the kubelet and the servers.
	overload bool
}

// judge lists why a scenario failed, or why it proves nothing because the machine was too busy; neither if it passed. It first checks what
// its own verdict rests on. Pure.
func judge(s report.Scenario) (faults, tooBusy []string) {
	all := faultsOf(s)
	figures, busy := overload(s)
	busy = busy && !slices.ContainsFunc(all, func(f fault) bool { return !f.overload })
	for _, f := range all {
		if busy {
			tooBusy = append(tooBusy, f.text)
		} else {
			faults = append(faults, f.text)
		}
	}
	switch {
	case len(tooBusy) > 0:
		return nil, append(tooBusy, figures)
	case len(faults) > 0:
		return append(faults, figures), nil
	}
	return nil, nil
}

func faultsOf(s report.Scenario) []fault {
	var faults []fault
	overloadable := func(text string) { faults = append(faults, fault{text: text, overload: true}) }
	controls := 0
	for _, w := range s.Workloads {
		if len(w.Rows) == 0 {
			faults = append(faults, fault{text: w.Name + " was sent no request"})
		}
		for _, r := range w.Rows {
			for _, f := range judgeRow(r, s.Promised, recorded(w.Pods)) {
				f.text = w.Name + ", " + r.Client + ": " + f.text
				faults = append(faults, f)
			}
		}
		if w.Control {
			controls++
			if _, lost := totals(w); s.ControlMustLose && lost == 0 {
				overloadable("the control " + w.Name + " lost no request, so it proves nothing")
			}
		}
	}
	if s.ControlMustLose && controls == 0 {
		faults = append(faults, fault{text: "there was no control, so the scenario proves nothing"})
	}
	if clients := s.Unproven(); s.EachControlMustLose && len(clients) > 0 {
		overloadable("the control lost none of " + strings.Join(clients, ", ") + ", so their rows prove nothing")
	}
	return faults
}

// recorded tells whether every server that has ended said its last word. A log that nobody could read, as while the API server was away,
// went with its pod.
func recorded(pods []report.Pod) bool {
	return !slices.ContainsFunc(pods, func(p report.Pod) bool { return p.Incomplete && !p.Ended.IsZero() })
}

func judgeRow(r report.Row, promised, recorded bool) []fault {
	var faults []fault
	add := func(overload bool, format string, args ...any) {
		faults = append(faults, fault{text: fmt.Sprintf(format, args...), overload: overload})
	}
	if r.Requests == 0 {
		add(false, "no request was sent")
	}
	if r.Rejected > 0 {
		add(false, "%d requests were answered with 3xx, 4xx or a grpc-status like them: the load is aimed wrong", r.Rejected)
	}
	if promised && r.Promised && r.Lost > 0 {
		add(true, "%d of %d requests were lost", r.Lost, r.Requests)
	}
	if r.Promised && recorded && r.ServerFinished > 0 && r.ServerFinished < r.Answered {
		add(true, "%d requests were answered, and the servers know of %d only", r.Answered, r.ServerFinished)
	}
	return faults
}
