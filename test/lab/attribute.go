package main

import (
	"fmt"
	"time"

	"github.com/gracefulapp/gracefulapp/internal/load"
	"github.com/gracefulapp/gracefulapp/test/lab/report"
)

// disturbance is the part of a pod's life in which a request was lost.
type disturbance struct {
	pod   report.Pod
	what  string // starting, deletion, SIGTERM, end
	since time.Duration
}

// nearTime is how far from a request a pod's disturbance may be to be taken for its cause.
const nearTime = 30 * time.Second

// attribute completes a loss: which pod, how long after what, and which row of failure-modes.md. Pure. kept: its connection had a request
// before.
func attribute(loss report.Loss, kept bool, pods []report.Pod) report.Loss {
	var near disturbance
	if pod, ok := podNamed(pods, loss.Pod); ok {
		near = phaseAt(pod, loss.Lost)
	} else {
		loss.Guessed = true
		near = nearest(pods, loss.Lost)
		loss.Pod = near.pod.Name
	}
	if loss.Pod == "" {
		loss.Guessed = false
	}
	if near.what != "" {
		loss.Phase = fmt.Sprintf("%.1f s after %s", near.since.Seconds(), near.what)
	}
	loss.Row = failureMode(loss, kept, near, served(pods, loss.Sent))
	return loss
}

func podNamed(pods []report.Pod, name string) (report.Pod, bool) {
	for _, p := range pods {
		if p.Name == name {
			return p, true
		}
	}
	return report.Pod{}, false
}

// phaseAt is the last thing that had happened to the pod.
func phaseAt(p report.Pod, at time.Time) disturbance {
	d := disturbance{pod: p}
	for _, step := range []struct {
		what string
		at   time.Time
	}{{"creation", p.Created}, {"Ready", p.Ready}, {"deletion", p.Deleted}, {"SIGTERM", p.Signal}, {"end", p.Ended}} {
		if !step.at.IsZero() && !step.at.After(at) {
			d.what, d.since = step.what, at.Sub(step.at)
		}
	}
	return d
}

// nearest is the pod that was last disturbed before the loss: created, deleted, signalled or ended. Being Ready disturbs nobody.
func nearest(pods []report.Pod, at time.Time) disturbance {
	var best disturbance
	for _, p := range pods {
		d := phaseAt(p, at)
		if d.what == "" || d.what == "Ready" && d.since > nearTime || d.since > nearTime {
			continue
		}
		if best.what == "" || d.since < best.since {
			best = d
		}
	}
	return best
}

// served tells whether any pod ran at the time.
func served(pods []report.Pod, at time.Time) bool {
	for _, p := range pods {
		if p.Created.Before(at) && (p.Ended.IsZero() || p.Ended.After(at)) {
			return true
		}
	}
	return false
}

// failureMode is the row of docs/failure-modes.md that explains the loss best; "" if none does.
func failureMode(loss report.Loss, kept bool, d disturbance, served bool) string {
	switch {
	case !served:
		return "U6"
	case loss.Fate == report.Begun && d.pod.ExitCode != nil && *d.pod.ExitCode == exitKilled:
		return "D6"
	case loss.Fate == report.Begun:
		return "D14"
	case loss.Class == load.ServerError:
		return "D4"
	case d.what == "creation" || d.what == "Ready" && loss.Class == load.Refused:
		return "U1"
	}
	switch loss.Class {
	case load.Refused, load.Unreachable, load.TimedOut:
		return "D1"
	case load.Reset, load.EOF, load.Resent, load.Truncated:
		if !kept && loss.Fate == report.NeverSeen && d.what == "SIGTERM" {
			return "D28"
		}
		return "D16"
	}
	return ""
}

// exitKilled is 128 + SIGKILL.
const exitKilled = 137
