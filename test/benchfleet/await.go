package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// awaitTimeout ends a measurement that makes no progress.
const awaitTimeout = 15 * time.Minute

// waiting is a running watch that ends when enough objects meet a condition.
type waiting struct {
	ended chan error
	at    time.Time // when the last object met the condition
}

// await starts a watch of a kind. It ends when n objects have met the condition, also if they were stored before. It ignores the objects of the warm-up.
func (c *controlPlane) await(ctx context.Context, list client.ObjectList, n int, met func(client.Object) bool) (*waiting, error) {
	ctx, cancel := context.WithTimeout(ctx, awaitTimeout)
	watcher, err := c.Watch(ctx, list)
	if err != nil {
		cancel()
		return nil, err
	}
	w := &waiting{ended: make(chan error, 1)}
	go func() {
		defer cancel()
		seen := map[client.ObjectKey]bool{}
		for err == nil && !w.count(watcher, seen, n, met) {
			// The API server may end a watch at any time. A new one begins with the stored objects.
			watcher, err = c.Watch(ctx, list)
		}
		if err != nil {
			err = fmt.Errorf("%d of %d objects: %w", len(seen), n, err)
		}
		w.ended <- err
	}()
	return w, nil
}

// count adds the objects that meet the condition to seen. It returns false if the watch ends before there are n of them.
func (w *waiting) count(watcher watch.Interface, seen map[client.ObjectKey]bool, n int, met func(client.Object) bool) bool {
	defer watcher.Stop()
	for event := range watcher.ResultChan() {
		object, ok := event.Object.(client.Object)
		if ok && strings.HasPrefix(object.GetName(), appPrefix) && met(object) {
			seen[client.ObjectKeyFromObject(object)] = true
		}
		if len(seen) == n {
			w.at = time.Now()
			return true
		}
	}
	return false
}

// since waits until the watch has ended, or the manager, and returns the seconds from start to the moment of the last object.
func (w *waiting) since(start time.Time, manager *process) (float64, error) {
	select {
	case err := <-w.ended:
		return w.at.Sub(start).Seconds(), err
	case <-manager.ended:
		return 0, manager.check()
	}
}

// pollInterval is short beside each time that the bench measures by polling.
const pollInterval = 50 * time.Millisecond

// poll calls met until it returns true or an error.
func poll(ctx context.Context, met func() (bool, error)) error {
	return wait.PollUntilContextTimeout(ctx, pollInterval, awaitTimeout, true, func(context.Context) (bool, error) { return met() })
}
