package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gracefulapp/gracefulapp/test/lab"
	"github.com/gracefulapp/gracefulapp/test/lab/report"
	"github.com/gracefulapp/gracefulapp/test/load"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

// between is the time outside all steps.
const between lab.DemoPhase = "between"

// phases are columns of the table.
var phases = []lab.DemoPhase{lab.ScaleUp, lab.ScaleDown, lab.Rollout, between}

// row is one line of the table, for a workload or for one of its clients.
type row struct {
	name     string
	requests int
	lost     map[lab.DemoPhase]int
}

// rowsOf returns the row of a workload and the rows of its clients.
func rowsOf(events []report.Event, w report.Workload) []row {
	rows := []row{{name: w.Title, requests: w.Total().Requests, lost: map[lab.DemoPhase]int{}}}
	for _, c := range w.Rows {
		client := row{name: c.Client, requests: c.Requests, lost: map[lab.DemoPhase]int{}}
		for _, l := range w.Losses {
			if l.Client == c.Client {
				phase := phaseOf(events, w.Name, l)
				client.lost[phase]++
				rows[0].lost[phase]++
			}
		}
		rows = append(rows, client)
	}
	return rows
}

// phaseOf returns the phase in which a request was sent. A request that was sent between two steps belongs to the step in which it was lost, because that
// step ended its connection.
func phaseOf(events []report.Event, workload string, l report.Loss) lab.DemoPhase {
	for _, at := range []time.Time{l.Sent, l.Lost} {
		for _, e := range events {
			if e.Workload != workload || at.Before(e.At) || !at.Before(e.Settled) {
				continue
			}
			for _, phase := range phases {
				if strings.HasPrefix(e.Text, string(phase)) {
					return phase
				}
			}
		}
	}
	return between
}

// maxLostLines bounds the lost requests that are printed.
const maxLostLines = 10

// lostLines describes the lost requests of a workload, at most maxLostLines of them.
func lostLines(w report.Workload) []string {
	var lines []string
	for _, l := range w.Losses[:min(len(w.Losses), maxLostLines)] {
		lines = append(lines, lostLine(l))
	}
	if more := w.Total().Lost - len(lines); more > 0 {
		lines = append(lines, fmt.Sprintf("lost: %s more", report.Thousands(more)))
	}
	return lines
}

// lostLine describes a lost request: the pod, the moment in its life, the error, and the row of docs/failure-modes.md.
func lostLine(l report.Loss) string {
	pod := "no pod"
	if l.Pod != "" {
		pod = "pod " + l.Pod
	}
	if l.Guessed {
		pod = "probably " + pod
	}
	if l.Phase != "" {
		pod += ", " + l.Phase
	}
	row := "no row of docs/failure-modes.md fits"
	if l.Row != "" {
		row = fmt.Sprintf("row %s of docs/failure-modes.md", l.Row)
	}
	return strings.Join([]string{"lost: " + pod, strings.TrimSpace(string(l.Class) + " " + l.Error), row}, "; ")
}

// failure returns the verdict of the lab as an error, or nil if the run passed. It is testbed.ErrTooBusy if the machine was too busy to prove a fault. It is
// testbed.ErrTooBusy as well if nothing was lost, but so many requests were late: they may not have met the pods that ended.
func failure(s report.Scenario) error {
	const separator = "\n      "
	switch s.Result() {
	case report.TooBusy:
		return fmt.Errorf("%w%s%s", testbed.ErrTooBusy, separator, strings.Join(s.TooBusy, separator))
	case report.Failed:
		return errors.New(strings.Join(s.Faults, separator))
	case report.Passed:
		sum := load.Count{}
		for _, w := range s.Workloads {
			sum = sum.Add(w.Total())
		}
		if late := testbed.LateShare(sum); late > testbed.MaxLateShare {
			return fmt.Errorf("%w: %.1f %% of the requests were sent late (limit %.0f %%)", testbed.ErrTooBusy, 100*late, 100*testbed.MaxLateShare)
		}
	}
	return nil
}
