package controllers

import (
	"fmt"
	"slices"
	"time"

	"golang.org/x/time/rate"
)

// In every state, the operator writes at most 12 times per minute for one app: another controller that undoes each write would otherwise be
// answered at the speed of the network. The first reconcile after a change of the app's spec is not counted, and the status has its whole share
// again, so that users see what became of their change. Replicas, owned objects and status have shares of their own, so that none of them waits
// for another.
const (
	writesPerMinute = 2 + 5 + 5
	// scaleBurst and scaleInterval give 1 + 60/60 = 2 writes of the replicas in any minute.
	scaleBurst    = 1
	scaleInterval = time.Minute
	// objectBurst and objectInterval give 3 + 60/30 = 5 writes of the owned objects; 3 are one for each of them.
	objectBurst    = 3
	objectInterval = 30 * time.Second
	// statusBurst and statusInterval give 3 + 60/30 = 5 writes of the status.
	statusBurst    = 3
	statusInterval = 30 * time.Second
)

// writeBudget bounds the writes for one app.
type writeBudget struct {
	scale, objects, status *rate.Limiter
	// waiting are the objects whose writes were put off, the oldest first. It is served before the others, so that a fight over one object stops
	// the repair of no other. refused are those of the present reconcile.
	waiting, refused []string
	// takenOver is the object whose fields were taken over, and whose apply is paid for.
	takenOver string
}

func newWriteBudget() writeBudget {
	return writeBudget{
		scale:   rate.NewLimiter(rate.Every(scaleInterval), scaleBurst),
		objects: rate.NewLimiter(rate.Every(objectInterval), objectBurst),
		status:  newStatusLimiter(),
	}
}

func newStatusLimiter() *rate.Limiter {
	return rate.NewLimiter(rate.Every(statusInterval), statusBurst)
}

// tooManyWritesError puts a write off.
type tooManyWritesError struct{}

func (*tooManyWritesError) Error() string {
	return fmt.Sprintf("the operator has reached its limit of %d writes per minute for this app, because another client changes the owned objects "+
		"after each write; it continues within a minute; the events of this app name the client", writesPerMinute)
}

// take counts a write and returns 0, or returns how long the write has to wait.
func (b *writeBudget) take(now time.Time, w write) time.Duration {
	switch w.subresource {
	case scaleSubresource:
		return takeFrom(b.scale, now, 1)
	case statusSubresource:
		return takeFrom(b.status, now, 1)
	}
	return b.takeObject(now, w)
}

// takeObject also refuses a dry run where the write that it prepares would be refused.
func (b *writeBudget) takeObject(now time.Time, w write) time.Duration {
	if w.target == b.takenOver && !w.dryRun {
		b.takenOver = ""
		return 0
	}
	cost, needed := 1, 1
	if w.takesOver { // an apply follows: a write of its own, and of no use without it
		cost, needed = 2, 2
	}
	if len(b.waiting) > 0 && b.waiting[0] != w.target {
		needed++
	}
	if wait := waitFor(b.objects, now, needed); wait > 0 {
		b.refused = append(b.refused, w.target)
		if !slices.Contains(b.waiting, w.target) {
			b.waiting = append(b.waiting, w.target)
		}
		return wait
	}
	if w.dryRun {
		return 0
	}
	b.waiting = slices.DeleteFunc(b.waiting, func(target string) bool { return target == w.target })
	if w.takesOver {
		b.takenOver = w.target
	}
	return takeFrom(b.objects, now, cost)
}

// begin a reconcile, the first after a change of the app's spec or another. An object that the last one did not refuse waits no longer.
func (b *writeBudget) begin(changed bool) {
	if changed {
		b.status = newStatusLimiter()
	}
	b.waiting = slices.DeleteFunc(b.waiting, func(target string) bool { return !slices.Contains(b.refused, target) })
	b.refused, b.takenOver = nil, ""
}

func takeFrom(l *rate.Limiter, now time.Time, n int) time.Duration {
	if l.AllowN(now, n) {
		return 0
	}
	return max(time.Second, waitFor(l, now, n))
}

// waitFor is how long it takes until n writes are allowed, 0 if they are now.
func waitFor(l *rate.Limiter, now time.Time, n int) time.Duration {
	missing := float64(n) - l.TokensAt(now)
	return max(0, time.Duration(missing/float64(l.Limit())*float64(time.Second)))
}
