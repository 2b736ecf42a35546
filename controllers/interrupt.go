package controllers

import (
	"context"
	"errors"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrlevent "sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// errInterrupted cancels a reconcile that waits for a slow response after its app has changed. The next reconcile is in the queue and scales first.
var errInterrupted = errors.New("the app has changed")

// runningReconciles holds the running reconcile of each app. The zero value is ready to use.
type runningReconciles struct {
	mu    sync.Mutex
	byApp map[types.NamespacedName]*runningReconcile
}

type runningReconcile struct {
	began  time.Time
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

// begin registers a reconcile. It returns a context that interrupt can cancel, and a function to call when the reconcile ends.
func (r *runningReconciles) begin(ctx context.Context, app types.NamespacedName, now time.Time) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byApp == nil {
		r.byApp = map[types.NamespacedName]*runningReconcile{}
	}
	running := &runningReconcile{began: now, cancel: cancel}
	r.byApp[app] = running
	return ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.byApp, app)
		if running.timer != nil {
			running.timer.Stop()
		}
		cancel(nil)
	}
}

// interrupt cancels the reconcile of an app as soon as it has run for slowAfter. Earlier its calls are not slow, and an app that changes all the time
// would never be reconciled.
func (r *runningReconciles) interrupt(app types.NamespacedName, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if running := r.byApp[app]; running != nil && running.timer == nil {
		running.timer = time.AfterFunc(slowAfter-now.Sub(running.began), func() { running.cancel(errInterrupted) })
	}
}

// interruptChanged interrupts the running reconcile of an app after a change of its spec.
func (r *GracefulAppReconciler) interruptChanged() handler.EventHandler {
	return handler.Funcs{UpdateFunc: func(_ context.Context, e ctrlevent.UpdateEvent, _ workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		if app := e.ObjectNew; app.GetGeneration() != e.ObjectOld.GetGeneration() {
			r.running.interrupt(types.NamespacedName{Namespace: app.GetNamespace(), Name: app.GetName()}, r.Clock.Now())
		}
	}}
}
