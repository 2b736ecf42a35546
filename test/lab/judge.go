package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gracefulapp/gracefulapp/test/lab/report"
)

// judge lists why a scenario failed; none if it passed. It first checks what its own verdict rests on. Pure.
func judge(s report.Scenario) []string {
	var faults []string
	controls := 0
	for _, w := range s.Workloads {
		if len(w.Rows) == 0 {
			faults = append(faults, w.Name+" was sent no request")
		}
		for _, r := range w.Rows {
			for _, f := range judgeRow(r, s.Promised, recorded(w.Pods)) {
				faults = append(faults, w.Name+", "+r.Client+": "+f)
			}
		}
		if w.Control {
			controls++
			if _, lost := totals(w); s.ControlMustLose && lost == 0 {
				faults = append(faults, "the control "+w.Name+" lost no request, so it proves nothing")
			}
		}
	}
	if s.ControlMustLose && controls == 0 {
		faults = append(faults, "there was no control, so the scenario proves nothing")
	}
	if clients := s.Unproven(); s.EachControlMustLose && len(clients) > 0 {
		faults = append(faults, "the control lost none of "+strings.Join(clients, ", ")+", so their rows prove nothing")
	}
	if late := lateShare(s); len(faults) > 0 && late > mostLate {
		faults = append(faults, fmt.Sprintf("%.0f %% of the requests were sent late, so the machine has no room for this load and its probes time "+
			"out: end what else runs on it, or try a lower rate (LAB_ARGS='--rate 0.3')", 100*late))
	}
	return faults
}

// mostLate is the share of late requests up to which losses are taken for what the scenario did.
const mostLate = 0.1

func lateShare(s report.Scenario) float64 {
	late, requests := 0, 0
	for _, w := range s.Workloads {
		for _, r := range w.Rows {
			late, requests = late+r.Late, requests+r.Requests
		}
	}
	return float64(late) / float64(max(requests, 1))
}

// recorded tells whether every server that has ended said its last word. A log that nobody could read, as while the API server was away,
// went with its pod.
func recorded(pods []report.Pod) bool {
	return !slices.ContainsFunc(pods, func(p report.Pod) bool { return p.Incomplete && !p.Ended.IsZero() })
}

func judgeRow(r report.Row, promised, recorded bool) []string {
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if r.Requests == 0 {
		fault("no request was sent")
	}
	if r.Rejected > 0 {
		fault("%d requests were answered with 3xx, 4xx or a grpc-status like them: the load is aimed wrong", r.Rejected)
	}
	if promised && r.Promised && r.Lost > 0 {
		fault("%d of %d requests were lost", r.Lost, r.Requests)
	}
	if r.Promised && recorded && r.ServerFinished > 0 && r.ServerFinished < r.Answered {
		fault("%d requests were answered, and the servers know of %d only", r.Answered, r.ServerFinished)
	}
	return faults
}
