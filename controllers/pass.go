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

// rejectedRetry is how long to wait before asking the API server again about a child that it called invalid or forbidden:
// no event tells when a quota, policy or permission changes.
const rejectedRetry = time.Minute

// conflictRetry is for the case that the watch event which shows what the cache had missed came before the retry was due.
const conflictRetry = time.Second

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
	unread  bool
	changes []children.Change
	err     error
}

// apply passes the replicas on before anything else, so that a scaled app gets its pods however the rest ends. Then it writes the children,
// unless it must not.
func (p *pass) apply(ctx context.Context, api client.Client) {
	if p.unread {
		return
	}
	var observed children.Observed
	observed, p.changes, p.err = children.Scale(ctx, api, p.app, p.observed)
	if len(p.invalid) == 0 && len(p.observed.Foreign) == 0 && len(p.observed.Leaving) == 0 {
		p.state.answers.Expire(p.now.Add(-rejectedRetry))
		changes, err := children.Apply(ctx, api, p.plan, observed, &p.state.answers, p.now)
		p.changes, p.err = append(p.changes, changes...), errors.Join(p.err, err)
	}
	for _, change := range p.changes {
		log.FromContext(ctx).Info("Child changed", "action", change.Action, "kind", change.Kind, "name", change.Name)
	}
}

// guard counts the writes, except those of the first reconcile after a change of the app.
func (p *pass) guard(ctx context.Context, write func(context.Context) error) error {
	if !p.changed {
		if err := p.state.countWrite(p.now); err != nil {
			return err
		}
	}
	return write(ctx)
}

// waitForStatus is how long a status is put off, 0 if it is written now.
func (p *pass) waitForStatus(old, updated v1alpha1.GracefulAppStatus) time.Duration {
	switch {
	case p.changed || apiequality.Semantic.DeepEqual(old, updated):
		return 0
	case differOnlyInCounts(old, updated):
		return p.state.waitForWrite(p.now, writeReserve)
	}
	return p.state.waitForWrite(p.now, 0)
}

// result: what a retry can heal backs off, what it cannot waits for the watch event that changes it. A status that was put off is due after
// its wait.
func (p *pass) result(wait time.Duration) (ctrl.Result, error) {
	retry := time.Duration(0)
	switch {
	case some(p.err, isTransient):
		return ctrl.Result{}, p.err
	case some(p.err, apierrors.IsConflict):
		retry = conflictRetry
	case some(p.err, isPutOff):
		retry = p.state.waitForWrite(p.now, 0)
	case p.err != nil:
		retry = rejectedRetry
	default:
		if shown := p.lastScaleConflict(); shown != nil {
			retry = max(time.Second, shown.LastTransitionTime.Add(scaleConflictLasts).Sub(p.now))
		}
	}
	if retry == 0 || wait > 0 && wait < retry {
		retry = wait
	}
	return ctrl.Result{RequeueAfter: retry}, nil
}
