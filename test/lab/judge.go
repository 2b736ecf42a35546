package lab

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gracefulapp/gracefulapp/test/lab/report"
)

// fault is a reason why a scenario failed.
type fault struct {
	text string
	// overload is true if an overloaded machine can be the cause, because kube-proxy, the kubelet and the servers get too little CPU time.
	overload bool
}

// judge returns the reasons why a scenario failed, or why the machine was too busy for a verdict. Both lists are empty if the scenario passed. The
// machine counts as too busy only if overload can be the cause of every fault. judge is a pure function.
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

// faultsOf returns all reasons for which the scenario fails on a machine that is not overloaded.
func faultsOf(s report.Scenario) []fault {
	var faults []fault
	addOverloadable := func(text string) { faults = append(faults, fault{text: text, overload: true}) }
	controls := 0
	for _, w := range s.Workloads {
		if len(w.Rows) == 0 {
			faults = append(faults, fault{text: w.Name + " was sent no request"})
		}
		for _, r := range w.Rows {
			for _, f := range judgeRow(r, s.Promised, recordsComplete(w.Pods)) {
				f.text = w.Name + ", " + r.Client + ": " + f.text
				faults = append(faults, f)
			}
		}
		faults = append(faults, judgeCauses(w)...)
		if w.Control {
			controls++
			if s.ControlMustLose && w.Total().Lost == 0 {
				addOverloadable("the control " + w.Name + " lost no request, so it proves nothing")
			}
		}
	}
	if s.ControlMustLose && controls == 0 {
		faults = append(faults, fault{text: "there was no control, so the scenario proves nothing"})
	}
	if clients := s.Unproven(); s.EachControlMustLose && len(clients) > 0 {
		addOverloadable("the control lost none of " + strings.Join(clients, ", ") + ", so their rows prove nothing")
	}
	return faults
}

// judgeCauses compares the causes of the losses with those that the workload must have and must not have.
func judgeCauses(w report.Workload) []fault {
	var faults []fault
	if w.MustLose != "" && w.Causes[w.MustLose] == 0 {
		faults = append(faults, fault{overload: true, text: fmt.Sprintf(
			"%s lost no request by row %s of docs/failure-modes.md, so it does not prove that a later step prevents this", w.Name, w.MustLose)})
	}
	for _, row := range w.Prevents {
		if n := w.Causes[row]; n > 0 {
			faults = append(faults, fault{overload: true, text: fmt.Sprintf("%s: %d requests were lost by row %s of docs/failure-modes.md, which it prevents", w.Name, n, row)})
		}
	}
	return faults
}

// recordsComplete reports whether the lab has the complete record of each server that ended. The end of a record is missing if the API server was not
// available while the pod ended, because the record is in the pod's log.
func recordsComplete(pods []report.Pod) bool {
	return !slices.ContainsFunc(pods, func(p report.Pod) bool { return p.Incomplete && !p.Ended.IsZero() })
}

// judgeRow returns the faults of one client's requests to one workload. recorded is true if the servers' records are complete.
func judgeRow(r report.Row, promised, recorded bool) []fault {
	var faults []fault
	add := func(text string) { faults = append(faults, fault{text: text}) }
	addOverloadable := func(text string) { faults = append(faults, fault{text: text, overload: true}) }
	if r.Requests == 0 {
		add("no request was sent")
	}
	if r.Rejected > 0 {
		add(fmt.Sprintf("%d requests were answered with 3xx, 4xx or a similar grpc-status: the client sends wrong requests", r.Rejected))
	}
	if promised && r.Promised && r.Lost > 0 {
		addOverloadable(fmt.Sprintf("%d of %d requests were lost", r.Lost, r.Requests))
	}
	if r.Promised && recorded && r.ServerFinished > 0 && r.ServerFinished < r.Answered {
		addOverloadable(fmt.Sprintf("%d requests were answered, but the servers' records have only %d of them", r.Answered, r.ServerFinished))
	}
	return faults
}
