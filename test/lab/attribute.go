package lab

import (
	"fmt"
	"time"

	"github.com/gracefulapp/gracefulapp/test/lab/report"
	"github.com/gracefulapp/gracefulapp/test/load"
)

// podMoment is an event in the life of a pod.
type podMoment string

// The moments, in their order. A podEvent without a moment means that no event has happened yet.
const (
	podCreation podMoment = "creation"
	podReady    podMoment = "Ready"
	podDeletion podMoment = "deletion"
	podSigterm  podMoment = "SIGTERM"
	podEnd      podMoment = "end"
)

// podEvent is the last event of a pod before a request was lost.
type podEvent struct {
	pod    report.Pod
	moment podMoment
	since  time.Duration // from the event to the loss
}

// maxCauseAge is the age up to which an event of a pod is taken for the cause of a loss.
const maxCauseAge = 30 * time.Second

// lostRequest is a loss with the facts that attribute needs.
type lostRequest struct {
	report.Loss
	// keepAlive means that the connection was kept from an earlier request.
	keepAlive bool
	// listenDelay is the time after Ready in which a pod of the workload may not listen yet.
	listenDelay time.Duration
}

// attribute adds to a loss the pod, the pod's last event before the loss and the row of docs/failure-modes.md. Pure.
func attribute(l lostRequest, pods []report.Pod) report.Loss {
	loss := l.Loss
	var cause podEvent
	if pod, ok := podNamed(pods, loss.Pod); ok {
		cause = lastEvent(pod, loss.Lost)
	} else {
		cause = likelyCause(l, pods)
		loss.Pod = cause.pod.Name
		loss.Guessed = loss.Pod != ""
	}
	if cause.moment != "" {
		loss.Phase = fmt.Sprintf("%.1f s after %s", cause.since.Seconds(), cause.moment)
	}
	loss.Row = failureMode(loss, l.keepAlive, cause, served(pods, loss.Sent))
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

// lastEvent returns the last event of the pod before the given time.
func lastEvent(p report.Pod, at time.Time) podEvent {
	last := podEvent{pod: p}
	for _, e := range []struct {
		moment podMoment
		at     time.Time
	}{
		{moment: podCreation, at: p.Created}, {moment: podReady, at: p.Ready}, {moment: podDeletion, at: p.Deleted},
		{moment: podSigterm, at: p.Signal}, {moment: podEnd, at: p.Ended},
	} {
		if !e.at.IsZero() && !e.at.After(at) {
			last.moment, last.since = e.moment, at.Sub(e.at)
		}
	}
	return last
}

// likelyCause returns the latest event of any pod that can have caused the loss, at most maxCauseAge before it. A pod that is Ready and does not listen yet
// takes precedence: it refuses connections for its whole start, and an ended pod only until the proxies have removed it.
func likelyCause(l lostRequest, pods []report.Pod) podEvent {
	var latest podEvent
	for _, p := range pods {
		e := lastEvent(p, l.Lost)
		if e.moment == "" || e.since > maxCauseAge || e.moment == podReady && !refusedBeforeListening(l, e.since) {
			continue
		}
		starting, before := e.moment == podReady, latest.moment == podReady
		if latest.moment == "" || starting && !before || starting == before && e.since < latest.since {
			latest = e
		}
	}
	return latest
}

// refusedBeforeListening reports whether a pod that became Ready so long ago can have caused the loss. A pod that is Ready serves, unless it has no
// readiness probe: then it is Ready before its server listens. Until then its node refuses connections, and a proxy answers 502 or 503.
func refusedBeforeListening(l lostRequest, sinceReady time.Duration) bool {
	return sinceReady <= l.listenDelay && (l.Class == load.Refused || l.Class == load.ServerError)
}

// served reports whether any pod existed and had not ended at the given time.
func served(pods []report.Pod, at time.Time) bool {
	for _, p := range pods {
		if p.Created.Before(at) && (p.Ended.IsZero() || p.Ended.After(at)) {
			return true
		}
	}
	return false
}

// failureMode returns the row of docs/failure-modes.md that fits the loss best, or "" if none fits. It tells eight rows apart. Rows with a more special
// cause, such as C7 or D20, look to the client like D1 or D16.
func failureMode(loss report.Loss, keepAlive bool, cause podEvent, served bool) string {
	switch {
	case !served:
		return "U6"
	case loss.ServerState == report.Begun && cause.pod.Killed():
		return "D6"
	case loss.ServerState == report.Begun:
		return "D14"
	case loss.Class == load.ServerError:
		return "D4"
	case cause.moment == podCreation || cause.moment == podReady && loss.Class == load.Refused:
		return "U1"
	}
	switch loss.Class {
	case load.Refused, load.Unreachable, load.TimedOut:
		return "D1"
	case load.Reset, load.EOF, load.Resent, load.Truncated:
		if !keepAlive && loss.ServerState == report.NeverSeen && cause.moment == podSigterm {
			return "D28"
		}
		return "D16"
	}
	return ""
}
