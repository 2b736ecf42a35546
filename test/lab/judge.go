package main

import (
	"fmt"

	"github.com/gracefulapp/gracefulapp/test/lab/report"
)

// judge lists why a scenario failed; none if it passed. It first checks what its own verdict rests on. Pure.
func judge(s report.Scenario) []string {
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	controlLost, controls := 0, 0
	for _, w := range s.Workloads {
		if len(w.Rows) == 0 {
			fault("%s was sent no request", w.Name)
		}
		lost := 0
		for _, r := range w.Rows {
			lost += r.Lost
			if r.Requests == 0 {
				fault("%s, %s: no request was sent", w.Name, r.Client)
			}
			if r.Rejected > 0 {
				fault("%s, %s: %d requests were answered with 3xx or 4xx: the load is aimed wrong", w.Name, r.Client, r.Rejected)
			}
			if s.Promised && r.Promised && r.Lost > 0 {
				fault("%s, %s: %d of %d requests were lost", w.Name, r.Client, r.Lost, r.Requests)
			}
			if r.Promised && r.ServerFinished > 0 && r.ServerFinished < r.Answered {
				fault("%s, %s: %d requests were answered, and the servers know of %d only", w.Name, r.Client, r.Answered, r.ServerFinished)
			}
		}
		if w.Control {
			controls++
			controlLost += lost
		}
	}
	if s.ControlMustLose && controlLost == 0 {
		if controls == 0 {
			fault("there was no control, so the scenario proves nothing")
		} else {
			fault("the control lost no request, so the scenario proves nothing")
		}
	}
	return faults
}
