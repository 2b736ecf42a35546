package controllers

import (
	"fmt"
	"slices"
	"time"

	"golang.org/x/time/rate"
)

// The operator makes at most 12 writes per minute for one app. Without a limit, it and a controller that reverts each of its writes would write in an
// endless loop. Writes of the first reconcile after a change of the app's spec do not count, and that change also resets the limit of the status, so
// that users see the result of their change. Replicas, owned objects and status have separate limits, so that none of them delays another.
const (
	writesPerMinute = 2 + 5 + 5
	// scaleBurst and scaleInterval allow 1 + 60/60 = 2 writes of the replicas per minute.
	scaleBurst    = 1
	scaleInterval = time.Minute
	// objectBurst and objectInterval allow 3 + 60/30 = 5 writes of the owned objects per minute; the burst is one write for each of the 3 objects.
	objectBurst    = 3
	objectInterval = 30 * time.Second
	// statusBurst and statusInterval allow 3 + 60/30 = 5 writes of the status per minute.
	statusBurst    = 3
	statusInterval = 30 * time.Second
)

// writeBudget limits the writes for one app.
type writeBudget struct {
	scale, objects, status *rate.Limiter
	// delayed lists the objects with a delayed write, the oldest first. The first object has priority: if a client changes another object again and
	// again, the writes of that object cannot use up the limit. delayedNow lists the objects whose write the current reconcile delayed.
	delayed, delayedNow []string
	// transferred is the target of the last transfer of ownership. The transfer has already counted the apply that follows it.
	transferred string
	// last are the writes that take counted last, nil if it counted none.
	last *rate.Reservation
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

// tooManyWritesError means that a write is delayed because of the limit.
type tooManyWritesError struct{}

func (*tooManyWritesError) Error() string {
	return fmt.Sprintf("the operator has reached its limit of %d writes per minute for this app, because another client changes the owned objects "+
		"after each write; it continues within a minute; the events of this app name the client", writesPerMinute)
}

// take counts a write and returns 0. If the limit is reached, it counts nothing and returns the time that the write must wait.
func (b *writeBudget) take(now time.Time, w write) time.Duration {
	b.last = nil
	switch w.subresource {
	case scaleSubresource:
		return b.takeFrom(b.scale, now, 1)
	case statusSubresource:
		return b.takeFrom(b.status, now, 1)
	}
	return b.takeObject(now, w)
}

// takeObject is take for a write of an owned object. It also delays a dry run if the write after it would be delayed.
func (b *writeBudget) takeObject(now time.Time, w write) time.Duration {
	if w.target == b.transferred && !w.dryRun {
		b.transferred = ""
		return 0
	}
	cost, needed := 1, 1
	if w.transfersOwnership { // the apply that must follow is a second write
		cost, needed = 2, 2
	}
	if len(b.delayed) > 0 && b.delayed[0] != w.target {
		needed++
	}
	if wait := waitFor(b.objects, now, needed); wait > 0 {
		b.delayedNow = append(b.delayedNow, w.target)
		if !slices.Contains(b.delayed, w.target) {
			b.delayed = append(b.delayed, w.target)
		}
		return wait
	}
	if w.dryRun {
		return 0
	}
	b.delayed = slices.DeleteFunc(b.delayed, func(target string) bool { return target == w.target })
	if w.transfersOwnership {
		b.transferred = w.target
	}
	return b.takeFrom(b.objects, now, cost)
}

// begin starts a reconcile. changed is true for the first reconcile after a change of the app's spec. An object stays in delayed only if the last
// reconcile delayed its write.
func (b *writeBudget) begin(changed bool) {
	if changed {
		b.status = newStatusLimiter()
	}
	b.delayed = slices.DeleteFunc(b.delayed, func(target string) bool { return !slices.Contains(b.delayedNow, target) })
	b.delayedNow, b.transferred = nil, ""
}

func (b *writeBudget) takeFrom(l *rate.Limiter, now time.Time, n int) time.Duration {
	if wait := waitFor(l, now, n); wait > 0 {
		return max(time.Second, wait)
	}
	b.last = l.ReserveN(now, n)
	return 0
}

// giveBack uncounts the write that was taken last, because the API server has not stored it. now is the time of the take.
func (b *writeBudget) giveBack(now time.Time) {
	b.transferred = ""
	if b.last != nil {
		b.last.CancelAt(now)
	}
}

// waitFor returns the time until n writes are allowed, 0 if they are allowed now.
func waitFor(l *rate.Limiter, now time.Time, n int) time.Duration {
	missing := float64(n) - l.TokensAt(now)
	return max(0, time.Duration(missing/float64(l.Limit())*float64(time.Second)))
}
