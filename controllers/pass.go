package controllers

import (
	"context"
	"errors"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/children"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// pass is what one reconcile found and did. The status is a pure function of it, whatever went wrong.
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
	// gone: the app is being deleted, or it could not be asked whether it is; only replicas are written.
	gone bool
	// last is how the plan compares with the one that was applied last.
	last    lastApply
	changes []children.Change
	err     error
}

// apply passes the replicas on before anything else, so that a scaled app gets its pods however the rest ends. Then it writes the children,
// unless it must not.
func (p *pass) apply(ctx context.Context, api client.Client) {
	if p.unread {
		return
	}
	observed, changes, err := children.Scale(ctx, api, p.app, p.observed)
	p.changes, p.err = changes, errors.Join(p.err, err)
	if !p.gone && len(p.invalid) == 0 && len(p.observed.Foreign) == 0 && len(p.observed.Leaving) == 0 {
		digest := planDigest(p.plan)
		p.last = p.state.compareWithLast(digest)
		changes, err := children.Apply(ctx, api, p.plan, observed, &p.state.answers)
		if !some(err, isNotAltered) {
			p.state.applied = digest
		}
		p.changes, p.err = append(p.changes, changes...), errors.Join(p.err, err)
	}
	for _, change := range p.changes {
		log.FromContext(ctx).Info("Child changed", "action", change.Action, "kind", change.Kind, "name", change.Name)
	}
}

// guard counts the writes, except those of the first reconcile after a change of the app.
func (p *pass) guard(ctx context.Context, w write) error {
	if !p.changed {
		if err := p.state.budget.take(p.now, w); err != nil {
			return err
		}
	}
	return w.send(ctx)
}

// writeStatus writes a status that differs, and returns how long it is put off, 0 if it is written now.
func (p *pass) writeStatus(ctx context.Context, api client.Client, status v1alpha1.GracefulAppStatus) (time.Duration, error) {
	if !p.changed && differOnlyInCounts(p.app.Status, status) && !apiequality.Semantic.DeepEqual(p.app.Status, status) {
		if wait := p.state.budget.wait(p.now, countsReserve); wait > 0 {
			return wait, nil
		}
	}
	err := writeStatus(ctx, api, p.app, status)
	if some(err, isPutOff) {
		return max(time.Second, p.state.budget.wait(p.now, statusReserve)), nil
	}
	return 0, err
}

// result: what a retry can heal backs off, what it cannot waits for the watch event that changes it. A status that was put off is due after
// its wait.
func (p *pass) result(wait time.Duration) (ctrl.Result, error) {
	after := time.Duration(0)
	switch {
	case some(p.err, isTransient):
		return retry(0), p.err
	case some(p.err, apierrors.IsConflict):
		after = conflictRetry
	case some(p.err, isPutOff):
		after = max(time.Second, p.state.budget.wait(p.now, statusReserve+1))
	case p.err != nil:
		after = rejectedRetry
	default:
		if shown := p.lastScaleConflict(); shown != nil {
			after = max(time.Second, shown.LastTransitionTime.Add(scaleConflictLasts).Sub(p.now))
		}
	}
	if after == 0 || wait > 0 && wait < after {
		after = wait
	}
	if after == 0 {
		return ctrl.Result{}, nil
	}
	return retry(after), nil
}
