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

// pass is what one reconcile found and did. The status is a pure function of it, with errors too.
type pass struct {
	app *v1alpha1.GracefulApp
	// state is what earlier reconciles have left. changed: none of them has seen the app's generation.
	state    *appState
	changed  bool
	now      time.Time
	plan     plan.Plan
	invalid  field.ErrorList
	observed children.Observed
	// unread: the live objects could not be read.
	unread bool
	// last is how the plan compares with the one that was applied last.
	last    lastApply
	changes []children.Change
	err     error
	// stuck is why pods do not become available.
	stuck children.Stuck
	// mayNotListPods: the reason is unknown, because the operator lacks a permission.
	mayNotListPods bool
	// wait is how long it takes until a write or a list of pods that was put off is allowed, 0 if none was.
	wait time.Duration
}

// apply passes the replicas on before anything else, so that a scaled app gets its pods however the rest ends. Then it writes the children,
// unless it must not.
func (r *GracefulAppReconciler) apply(ctx context.Context, api client.Client, p *pass) {
	if p.unread {
		return
	}
	var observed children.Observed
	observed, p.changes, p.err = children.Scale(ctx, api, p.app, p.observed)
	if len(p.invalid) == 0 && len(p.observed.Foreign) == 0 && len(p.observed.Leaving) == 0 {
		p.err = errors.Join(p.err, r.applyChildren(ctx, api, p, observed))
	}
	for _, change := range p.changes {
		log.FromContext(ctx).Info("Child changed", "action", change.Action, "kind", change.Kind, "name", change.Name)
	}
}

func (r *GracefulAppReconciler) applyChildren(ctx context.Context, api client.Client, p *pass, observed children.Observed) error {
	if observed.HasLostReference() {
		if gone, err := r.isGone(ctx, p.app); gone || err != nil {
			return err
		}
	}
	digest := planDigest(p.plan)
	p.last = p.state.compareWithLast(digest)
	changes, err := children.Apply(ctx, api, p.plan, observed, &p.state.answers)
	p.changes = append(p.changes, changes...)
	if !some(err, isNotAltered) {
		p.state.applied = digest
	}
	return err
}

// guard counts the writes, except those of the first reconcile after a change of the app.
func (p *pass) guard(ctx context.Context, w write) error {
	if !p.changed {
		if wait := p.state.budget.take(p.now, w); wait > 0 {
			p.putOff(wait)
			return &tooManyWritesError{}
		}
	}
	return w.send(ctx)
}

func (p *pass) putOff(wait time.Duration) {
	if p.wait == 0 || wait < p.wait {
		p.wait = wait
	}
}

// writeStatus patches a status that differs, and tells whether it is in force: one that is put off is not. Counts alone leave the last write to a
// condition. An app that was deleted meanwhile needs no status. The answer need not be decodable.
func (p *pass) writeStatus(ctx context.Context, api client.Client, status v1alpha1.GracefulAppStatus) (bool, error) {
	if apiequality.Semantic.DeepEqual(p.app.Status, status) {
		return true, nil
	}
	if !p.changed && differOnlyInCounts(p.app.Status, status) {
		if wait := waitFor(p.state.budget.status, p.now, 2); wait > 0 {
			p.putOff(wait)
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
	if some(err, isPutOff) {
		return false, nil
	}
	if err == nil {
		p.state.status, p.state.statusVersion, p.state.statusTime = status, answer.GetResourceVersion(), p.now
	}
	return true, client.IgnoreNotFound(err)
}

// result: what a retry can heal backs off, what it cannot waits for the watch event that changes it. What was put off is due after its wait.
func (p *pass) result() (ctrl.Result, error) {
	after := time.Duration(0)
	switch {
	case some(p.err, isTransient):
		return retry(0), p.err
	case some(p.err, apierrors.IsConflict):
		after = conflictRetry
	case some(p.err, isRefused):
		after = rejectedRetry
	case p.err == nil:
		if shown := p.lastScaleConflict(); shown != nil {
			after = max(time.Second, shown.LastTransitionTime.Add(scaleConflictLasts).Sub(p.now))
		}
	}
	if after == 0 || p.wait > 0 && p.wait < after {
		after = p.wait
	}
	if after == 0 {
		return ctrl.Result{}, nil
	}
	return retry(after), nil
}
