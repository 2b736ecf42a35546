package lab

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gracefulapp/gracefulapp/test/lab/report"
	"github.com/gracefulapp/gracefulapp/test/load"
)

// ledgerLimit bounds the wait for the servers' last log lines.
const ledgerLimit = 10 * time.Second

// collect combines the records of the clients and of the servers into the result of a scenario.
func (r *round) collect(ctx context.Context, begin time.Time) (report.Scenario, error) {
	all := r.traffic.results()
	r.awaitLedgers(ctx, all)
	s := r.scenario
	found := report.Scenario{
		Name: s.name, Title: s.title, Begin: begin, End: time.Now(), Promised: s.promised, Reason: s.reason,
		ControlMustLose: s.controlMustLose, EachControlMustLose: s.eachControlMustLose, Note: s.note, Load1: r.load1,
	}
	for _, e := range r.events {
		found.Events = append(found.Events, *e)
	}
	for _, w := range r.lab.suite.workloads {
		template, err := w.template(ctx, r.lab.testbed)
		if err != nil {
			return found, err
		}
		out := report.Workload{
			Name: w.name, Title: w.title, Control: w.control, Timing: timing(s.profile, template),
			Pods: r.lab.recorder.podTimelines(w.name, begin), MustLose: w.mustLose, Prevents: w.prevents, Causes: map[string]int{},
		}
		r.fill(&out, w, all)
		out.Rows = append(out.Rows, r.extraRows[w.name]...)
		found.Workloads = append(found.Workloads, out)
	}
	found.Steady = countWithin(r.steadyPhases, found.Workloads)
	return found, nil
}

// awaitLedgers waits until the servers' records have arrived, at most ledgerLimit. judge reports missing records.
func (r *round) awaitLedgers(ctx context.Context, all []targetResult) {
	if !r.lab.suite.ledger {
		return
	}
	limit := time.NewTimer(ledgerLimit)
	defer limit.Stop()
	for {
		complete := true
		for _, s := range all {
			complete = complete && r.lab.recorder.finished(s.Name) >= s.Answered
		}
		if complete {
			return
		}
		select {
		case <-r.lab.recorder.read:
		case <-limit.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// fill adds the rows, seconds and losses of a workload.
func (r *round) fill(out *report.Workload, w *workload, all []targetResult) {
	seconds := map[int64]load.Second{}
	for _, c := range r.lab.suite.clients {
		row := report.Row{Client: c.name, Promised: c.promised(w)}
		for _, s := range all {
			if workload, client := parseTarget(s.Name); workload != w.name || client != c.name {
				continue
			}
			row.Count = row.Add(s.Count)
			row.Latency = maxLatency(row.Latency, s.Latency)
			row.ServerFinished += r.lab.recorder.finished(s.Name)
			for _, sec := range s.Seconds {
				sum := seconds[sec.At.Unix()]
				sum.At, sum.Count = time.Unix(sec.At.Unix(), 0).UTC(), sum.Add(sec.Count)
				seconds[sec.At.Unix()] = sum
			}
			for _, record := range s.losses {
				loss := r.loss(w, c, s.Name, record, out.Pods)
				if loss.ServerState == report.Finished {
					row.FinishedButLost++
				}
				out.Causes[loss.Row]++
				out.Losses = append(out.Losses, loss)
			}
		}
		if row.Requests > 0 {
			out.Rows = append(out.Rows, row)
		}
	}
	for _, second := range seconds {
		out.Seconds = append(out.Seconds, second)
	}
	slices.SortFunc(out.Seconds, func(a, b load.Second) int { return a.At.Compare(b.At) })
	slices.SortFunc(out.Losses, func(a, b report.Loss) int { return a.Sent.Compare(b.Sent) })
}

func (r *round) loss(w *workload, client clientKind, target string, record load.Record, pods []report.Pod) report.Loss {
	state, pod := report.NeverSeen, record.Pod
	// The retry of a resent request has the same ID and went to another pod. The record of that pod says nothing about the lost request.
	if record.Class != load.Resent {
		state, pod = r.lab.recorder.serverState(target, record.Seq, "")
	} else if record.Pod != "" {
		state, pod = r.lab.recorder.serverState(target, record.Seq, record.Pod)
	}
	return attribute(lostRequest{
		Loss: report.Loss{
			Client: client.name, ID: record.ID, Sent: record.Sent, Lost: record.End(), Class: record.Class, Error: lossMessage(record),
			ServerState: state, Pod: cmp.Or(pod, record.Pod),
		},
		keepAlive: client.mode != load.NewConnection, listenDelay: w.listenDelay(r.scenario.profile),
	}, pods)
}

// lossMessage returns the client's error and the time that the connection was idle: a server closes an idle HTTP/1 connection without notice.
func lossMessage(r load.Record) string {
	if r.Idle == 0 {
		return r.Error
	}
	return strings.TrimPrefix(fmt.Sprintf("%s; the connection had been idle for %.1f s", r.Error, r.Idle.Seconds()), "; ")
}

// maxLatency returns the larger value of each quantile. That is an upper bound; quantiles of several histograms cannot be combined exactly.
func maxLatency(a, b load.Latency) load.Latency {
	return load.Latency{P50: max(a.P50, b.P50), P99: max(a.P99, b.P99), P999: max(a.P999, b.P999), Max: max(a.Max, b.Max)}
}

// watchLoad updates the highest load average of the round.
func (r *round) watchLoad() { r.load1 = max(r.load1, r.lab.loadAverage()) }

// loadAverage returns the load average of this machine over one minute, or 0 if the cluster is not on this machine.
func (l *lab) loadAverage() float64 {
	if l.options.cluster == "" {
		return 0
	}
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), " ")
	n, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return 0
	}
	return n
}
