package controllers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// slowAfter is the time after which a write counts as slow. Without a webhook, the API server answers within milliseconds.
	slowAfter = time.Second
	// callTimeout is longer than the API server's maximum timeout for a webhook, 30 s. So the API server's error arrives first, and it names the
	// webhook.
	callTimeout = 35 * time.Second

	// maxSlowCalls leaves four workers for apps with fast writes.
	maxSlowCalls = maxConcurrentReconciles - 4
	// maxSlowPerTarget leaves slots for other slow targets, so that one webhook cannot use all of them.
	maxSlowPerTarget = maxSlowCalls / 2
	// maxProbed leaves one of these four workers for apps without a slow webhook, even if many apps with one change at the same time.
	maxProbed = 3
)

// errWriteTimeout is the error of every canceled call. It has no details, so that the status of a waiting app stays the same from retry to retry.
// To cancel a call is safe, because the next apply sends the same configuration.
var errWriteTimeout = fmt.Errorf("the API server does not respond (an admission webhook may be slow or unavailable); the operator canceled this write, so "+
	"that other apps do not wait for it, and will retry: %w", context.DeadlineExceeded)

// callLimiter limits how many calls wait for a slow response at the same time, and for how long.
type callLimiter struct {
	mu        sync.Mutex
	slots     int            // free slots for slow calls
	perTarget int            // maximum slots of one target
	probes    int            // free places for calls that begin while their target has no free slot
	slow      map[string]int // number of slow calls by target
}

func newCallLimiter(slots, perTarget, probes int) *callLimiter {
	return &callLimiter{slots: slots, perTarget: perTarget, probes: probes, slow: map[string]int{}}
}

// do sends a write and cancels its context if the limits require it. Calls with the same target probably go through the same webhooks.
func (l *callLimiter) do(ctx context.Context, w write) error {
	endProbe, ok := l.begin(w.target)
	if !ok {
		return errWriteTimeout
	}
	ctx, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		l.watch(ctx, cancel, w.target, endProbe)
	}()
	err := w.send(ctx)
	if err != nil && errors.Is(context.Cause(ctx), errWriteTimeout) {
		err = errWriteTimeout
	}
	cancel(nil)
	<-watched
	return err
}

// watch cancels a call that is slow and gets no slot, or that exceeds callTimeout. It returns when the call has ended or is canceled.
func (l *callLimiter) watch(ctx context.Context, cancel context.CancelCauseFunc, target string, endProbe func()) {
	await(ctx, slowAfter)
	endProbe()
	if ctx.Err() != nil { // it was fast
		return
	}
	if l.takeSlot(target) {
		defer l.leaveSlot(target)
		await(ctx, callTimeout-slowAfter)
	}
	cancel(errWriteTimeout) // has no effect if the call has ended
}

// await returns when the context is done, or after d.
func await(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	<-ctx.Done()
}

// begin reports whether a call may begin. If calls to the target are slow and the target has no free slot, only a few calls may begin, as probes.
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
