package controllers

import (
	"context"
	"errors"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/children"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// reconcileState holds the observations and results of one reconcile, errors included. The status is a pure function of it.
type reconcileState struct {
	app *v1alpha1.GracefulApp
	// state is the memory of earlier reconciles. changed is true if none of them has seen the app's generation.
	state    *appState
	changed  bool
	now      time.Time
	plan     plan.Plan
	invalid  field.ErrorList
	observed children.Observed
	// observeFailed is true if the live objects could not be read.
	observeFailed bool
	// last compares the plan with the one that was applied last.
	last    lastApply
	changes []children.Change
	err     error
	// stuck is a pod that does not become available, and the reason.
	stuck children.Stuck
	// mayNotListPods: the reason is unknown, because the operator lacks a permission.
	mayNotListPods bool
	// requeueAfter is the time until a delayed write or list of pods is allowed, 0 if none was delayed.
	requeueAfter time.Duration
}

// apply first scales the Deployment, so that a later error does not delay scaling. Then it applies the owned objects, unless the spec is invalid or
// another object has the app's name.
func (r *GracefulAppReconciler) apply(ctx context.Context, api client.Client, p *reconcileState) {
	if p.observeFailed {
		return
	}
	var observed children.Observed
	observed, p.changes, p.err = children.Scale(ctx, api, p.app, p.observed)
	if len(p.invalid) == 0 && len(p.observed.Foreign) == 0 && len(p.observed.Terminating) == 0 {
		p.err = errors.Join(p.err, r.applyObjects(ctx, api, p, observed))
	}
	for _, change := range p.changes {
		log.FromContext(ctx).Info("Changed an owned object", "action", change.Action, "kind", change.Kind, "name", change.Name)
	}
}

func (r *GracefulAppReconciler) applyObjects(ctx context.Context, api client.Client, p *reconcileState, observed children.Observed) error {
	if observed.HasLostReference() {
		if gone, err := r.isGone(ctx, p.app); gone || err != nil {
			return err
		}
	}
	digest := planDigest(p.plan)
	p.last = p.state.compareWithLast(digest)
	changes, err := children.Apply(ctx, api, p.plan, observed, &p.state.answers)
	p.changes = append(p.changes, changes...)
	if !anyError(err, isNotAltered) {
		p.state.applied = digest
	}
	return err
}

// guard enforces the limit of writes per minute. Writes of the first reconcile after a change of the app do not count.
func (p *reconcileState) guard(ctx context.Context, w write) error {
	if !p.changed {
		if wait := p.state.budget.take(p.now, w); wait > 0 {
			p.requeueWithin(wait)
			return &tooManyWritesError{}
		}
	}
	return w.send(ctx)
}

func (p *reconcileState) requeueWithin(wait time.Duration) {
	if p.requeueAfter == 0 || wait < p.requeueAfter {
		p.requeueAfter = wait
	}
}

// writeStatus patches the status if it differs, and reports whether the API server has it now; a delayed status is false. A change of counts alone
// does not use the last write of the limit, so that a condition can use it. It ignores that the app was deleted meanwhile. It reads the answer as
// an unstructured object, because the app may not be decodable.
func (p *reconcileState) writeStatus(ctx context.Context, api client.Client, status v1alpha1.GracefulAppStatus) (bool, error) {
	if apiequality.Semantic.DeepEqual(p.app.Status, status) {
		return true, nil
	}
	if !p.changed && differOnlyInCounts(p.app.Status, status) {
		if wait := waitFor(p.state.budget.status, p.now, 2); wait > 0 {
			p.requeueWithin(wait)
			return false, nil
		}
	}
	updated := p.app.DeepCopy()
	updated.Status = status
	patch, err := client.MergeFrom(p.app).Data(updated)
	if err != nil {
		return false, err
	}
	answer := storedApp()
	answer.SetNamespace(p.app.Namespace)
	answer.SetName(p.app.Name)
	err = api.Status().Patch(ctx, answer, client.RawPatch(types.MergePatchType, patch))
	if anyError(err, isRateLimited) {
		return false, nil
	}
	if err == nil {
		p.state.status, p.state.statusVersion, p.state.statusTime = status, answer.GetResourceVersion(), p.now
	}
	return true, client.IgnoreNotFound(err)
}

// result returns the time of the next reconcile. Transient errors are retried with backoff. A rejected request waits for a watch event, and for
// rejectedRequeueAfter at most. A delayed write is due after its wait.
func (p *reconcileState) result() (ctrl.Result, error) {
	after := time.Duration(0)
	switch {
	case anyError(p.err, isTransient):
		return retry(0), p.err
	case anyError(p.err, apierrors.IsConflict):
		after = conflictRequeueAfter
	case anyError(p.err, isPermanent):
		after = rejectedRequeueAfter
	case p.err == nil:
		if shown := p.lastScaleConflict(); shown != nil {
			after = max(time.Second, shown.LastTransitionTime.Add(scaleConflictDuration).Sub(p.now))
		}
	}
	if after == 0 || p.requeueAfter > 0 && p.requeueAfter < after {
		after = p.requeueAfter
	}
	if after == 0 {
		return ctrl.Result{}, nil
	}
	return retry(after), nil
}
