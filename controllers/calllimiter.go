package controllers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// slowAfter is how long a write may take before it counts as slow. Without a webhook the API server answers within milliseconds.
	slowAfter = time.Second
	// callTimeout exceeds the 30 s that the API server waits for a webhook at most, so that its answer, which names the webhook, comes first.
	callTimeout = 35 * time.Second

	// maxSlowCalls leaves four workers to the apps whose writes are answered fast.
	maxSlowCalls = maxConcurrentReconciles - 4
	// maxSlowPerTarget leaves slots to other slow targets: one webhook does not take the time that another needs.
	maxSlowPerTarget = maxSlowCalls / 2
	// maxProbed leaves one of the four to apps that are not behind a slow webhook, however many of those that are change at once.
	maxProbed = 3
)

// errGivenUp is one error for every call that is given up, so that the status of a waiting app stays the same from retry to retry. To give up does
// no harm: the next apply is the same one.
var errGivenUp = fmt.Errorf("the API server does not respond (an admission webhook may be slow or unavailable); the operator canceled this write, so "+
	"that other apps do not wait for it, and will retry: %w", context.DeadlineExceeded)

// callLimiter lets only some calls wait for a slow answer at the same time, and none of them forever.
type callLimiter struct {
	mu        sync.Mutex
	slots     int            // left for slow calls
	perTarget int            // slots that one target may have
	probes    int            // left for calls that begin while no slot is left for their target
	slow      map[string]int // slow calls by target
}

func newCallLimiter(slots, perTarget, probes int) *callLimiter {
	return &callLimiter{slots: slots, perTarget: perTarget, probes: probes, slow: map[string]int{}}
}

// do sends a write whose context ends when the call is given up. Calls of one target probably meet the same webhooks.
func (l *callLimiter) do(ctx context.Context, w write) error {
	endProbe, ok := l.begin(w.target)
	if !ok {
		return errGivenUp
	}
	ctx, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		l.watch(ctx, cancel, w.target, endProbe)
	}()
	err := w.send(ctx)
	if err != nil && errors.Is(context.Cause(ctx), errGivenUp) {
		err = errGivenUp
	}
	cancel(nil)
	<-watched
	return err
}

// watch gives a call up that is slow and gets no slot, or takes too long. It returns when the call is over or given up.
func (l *callLimiter) watch(ctx context.Context, giveUp context.CancelCauseFunc, target string, endProbe func()) {
	await(ctx, slowAfter)
	endProbe()
	if ctx.Err() != nil { // it was fast
		return
	}
	if l.takeSlot(target) {
		defer l.leaveSlot(target)
		await(ctx, callTimeout-slowAfter)
	}
	giveUp(errGivenUp) // of no effect if the call is over
}

// await returns when the context ends, at the latest after d.
func await(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	<-ctx.Done()
}

// begin tells whether a call may begin. Where it would probably wait in vain, since no slot is left and others wait for its target, only a few may try.
func (l *callLimiter) begin(target string) (end func(), ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.slots > 0 && l.slow[target] < l.perTarget || l.slow[target] == 0 {
		return func() {}, true
	}
	if l.probes == 0 {
		return nil, false
	}
	l.probes--
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.probes++
	}, true
}

func (l *callLimiter) takeSlot(target string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.slots == 0 || l.slow[target] >= l.perTarget {
		return false
	}
	l.slots--
	l.slow[target]++
	return true
}

func (l *callLimiter) leaveSlot(target string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slots++
	if l.slow[target]--; l.slow[target] == 0 {
		delete(l.slow, target)
	}
}
