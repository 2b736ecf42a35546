package controllers

import (
	"fmt"
	"slices"
	"time"

	"golang.org/x/time/rate"
)

// In every state, the operator writes at most 12 times per minute for one app: another controller that undoes each write would otherwise be
// answered at the speed of the network. The first reconcile after a change of the app's spec is not counted.
const (
	// scaleBurst and scaleInterval give 1 + 60/30 = 3 writes of the replicas in any minute, which no other write can use up.
	scaleBurst    = 1
	scaleInterval = 30 * time.Second
	// writeBurst and writeInterval give 4 + 60/12 = 9 other writes in any minute.
	writeBurst    = 4
	writeInterval = 12 * time.Second
	// statusReserve is kept for the status when the objects of the app are written, so that it says why they are not written more often.
	statusReserve = 1
	// countsReserve is kept for repairs and conditions when only the counts of the status have changed, as they do all the time in a rollout.
	countsReserve = 2
)

// writeBudget bounds the writes for one app.
type writeBudget struct {
	scale, other *rate.Limiter
	// waiting are the targets whose writes were put off, the oldest first. It is served before the others, so that a fight over one object stops
	// the repair of no other. refused are those of the present reconcile.
	waiting, refused []string
	// takenOver is the target whose fields were taken over, and whose apply is paid for.
	takenOver string
}

func newWriteBudget() writeBudget {
	return writeBudget{
		scale: rate.NewLimiter(rate.Every(scaleInterval), scaleBurst),
		other: rate.NewLimiter(rate.Every(writeInterval), writeBurst),
	}
}

// tooManyWritesError puts a write off.
type tooManyWritesError struct{}

func (*tooManyWritesError) Error() string {
	return fmt.Sprintf("the operator has written the objects of this app %d times within a minute, because another client changes them after each write; "+
		"it goes on within a minute", scaleBurst+writeBurst+time.Minute/scaleInterval+time.Minute/writeInterval)
}

// wait is how long the app has to wait until it may write, 0 if it may now. The reserve is left to more important writes.
func (b *writeBudget) wait(now time.Time, reserve int) time.Duration {
	missing := float64(1+reserve) - b.other.TokensAt(now)
	return max(0, time.Duration(missing*float64(writeInterval)))
}

// take counts a write, or refuses it. A dry run is refused where the write that it prepares would be.
func (b *writeBudget) take(now time.Time, w write) error {
	if w.subresource == scaleSubresource {
		return refuseUnless(b.scale.AllowN(now, 1))
	}
	target := w.target + "/" + w.subresource
	if target == b.takenOver && !w.dryRun {
		b.takenOver = ""
		return nil
	}
	cost := 1
	if w.takesOver { // an apply follows: a write of its own, and of no use without it
		cost = 2
	}
	if b.wait(now, b.reserve(w, target)+cost-1) > 0 {
		b.refused = append(b.refused, target)
		if !slices.Contains(b.waiting, target) {
			b.waiting = append(b.waiting, target)
		}
		return &tooManyWritesError{}
	}
	if w.dryRun {
		return nil
	}
	b.waiting = slices.DeleteFunc(b.waiting, func(t string) bool { return t == target })
	if w.takesOver {
		b.takenOver = target
	}
	return refuseUnless(b.other.AllowN(now, cost))
}

func (b *writeBudget) reserve(w write, target string) int {
	reserve := statusReserve
	if w.subresource == statusSubresource {
		reserve = 0
	}
	if len(b.waiting) > 0 && b.waiting[0] != target {
		reserve++
	}
	return reserve
}

// begin a reconcile. A target that the last one did not refuse waits no longer.
func (b *writeBudget) begin() {
	b.waiting = slices.DeleteFunc(b.waiting, func(target string) bool { return !slices.Contains(b.refused, target) })
	b.refused, b.takenOver = nil, ""
}

func refuseUnless(allowed bool) error {
	if allowed {
		return nil
	}
	return &tooManyWritesError{}
}
