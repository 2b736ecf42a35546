package fuzz

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/controllers"
)

const (
	firstBackoff = time.Second
	// maxBackoff is less than the 1,000 s of a real queue, so that a sequence need not wait that long.
	maxBackoff = time.Minute
	// maxPasses in one settle. It is far more than the writes that are allowed in that time.
	maxPasses = 300
	// settleTime is enough for the last backoff, and for the writes that are put off.
	settleTime = 2 * time.Minute
)

// testEnv is a namespace for one app, with the reconciler under test. It also has a work queue, a Deployment controller and a garbage
// collector, which envtest lacks. Its clock moves only when the queue waits.
type testEnv struct {
	ctx        context.Context
	api        client.WithWatch
	key        client.ObjectKey
	clock      *clocktesting.FakeClock
	recorder   *recorder
	reconciler *controllers.GracefulAppReconciler

	// seen is the snapshot after the last reconcile or operation.
	seen *snapshot
	// event reports whether a watch event waits for a pass.
	event bool
	// due is when the queue starts a pass without an event; zero: never.
	due time.Time
	// errors is the number of passes in a row that returned an error.
	errors int
	// disturbed is the time of the last operation.
	disturbed time.Time
	// reconciled is the generation that the last pass has seen.
	reconciled string
	// counted are the times of the writes that the bound applies to.
	counted []time.Time
	// unready is the number of pods that do not become ready.
	unready int32
	// policy is the kind of admission policy that is in force, "" for none.
	policy string
}

func newTestEnv(ctx context.Context, api client.WithWatch) (*testEnv, error) {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "sequence-"}}
	if err := api.Create(ctx, namespace); err != nil {
		return nil, err
	}
	fake := clocktesting.NewFakeClock(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	e := &testEnv{
		ctx: ctx, api: api, key: client.ObjectKey{Namespace: namespace.Name, Name: appName}, clock: fake,
		recorder: &recorder{clock: fake}, seen: &snapshot{},
	}
	e.startOperator()
	return e, nil
}

// startOperator replaces the reconciler: a new process remembers nothing, and its first list brings every object as an event.
func (e *testEnv) startOperator() {
	e.reconciler = &controllers.GracefulAppReconciler{Client: e.recorder.client(e.api), Recorder: &events.FakeRecorder{}, Clock: e.clock}
	e.event, e.due, e.errors, e.counted = true, time.Time{}, 0, nil
}

// perform runs an operation, then the passes that a work queue would start for a time.
func (e *testEnv) perform(do operation, choice int, wait time.Duration) error {
	e.disturbed = e.clock.Now()
	if err := do(e, choice); err != nil && !apierrors.IsInvalid(err) { // a rejected write has changed nothing
		return fmt.Errorf("the operation failed: %w", err)
	}
	if err := e.look(); err != nil {
		return err
	}
	return e.settle(wait)
}

// settle runs passes until no event waits and the queue starts none within the time.
func (e *testEnv) settle(wait time.Duration) error {
	end := e.clock.Now().Add(wait)
	for range maxPasses {
		if !e.event {
			if err := e.runControllers(); err != nil {
				return err
			}
		}
		if !e.event && (e.due.IsZero() || e.due.After(end)) {
			e.clock.SetTime(end)
			return e.checkSettled()
		}
		if !e.event {
			e.clock.SetTime(later(e.due, e.clock.Now()))
			e.due = time.Time{}
		}
		if err := e.reconcile(); err != nil {
			return err
		}
	}
	return fmt.Errorf("no rest after %d passes", maxPasses)
}

// reconcile runs one pass and checks it.
func (e *testEnv) reconcile() error {
	before := e.seen
	e.event, e.recorder.writes = false, nil
	result, err := e.reconciler.Reconcile(e.ctx, ctrl.Request{NamespacedName: e.key})
	e.schedule(result, err)
	if len(e.recorder.writes) > 0 {
		if err := e.look(); err != nil {
			return err
		}
	}
	return e.checkPass(before, e.recorder.writes)
}

// schedule handles the result of a reconcile as a work queue does. An earlier time replaces a later one.
func (e *testEnv) schedule(result ctrl.Result, err error) {
	after := result.RequeueAfter
	if err != nil {
		after = min(firstBackoff<<min(e.errors, 10), maxBackoff)
		e.errors++
	} else {
		e.errors = 0
	}
	if due := e.clock.Now().Add(after); after > 0 && (e.due.IsZero() || due.Before(e.due)) {
		e.due = due
	}
}

// look reads the namespace. A change that the controller watches is an event.
func (e *testEnv) look() error {
	now, err := takeSnapshot(e.ctx, e.api, e.key)
	if err != nil {
		return err
	}
	e.event = e.event || !now.isSame(e.seen)
	e.seen = now
	return nil
}

// isQuiet reports whether enough time has passed since the last disturbance for the app to settle.
func (e *testEnv) isQuiet() bool {
	return !e.clock.Now().Before(later(e.disturbed, e.recorder.failUntil()).Add(settleTime))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
