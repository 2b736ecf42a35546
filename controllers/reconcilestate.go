package controllers

import (
	"context"
	"errors"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
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
	// state holds values of earlier reconciles. specChanged is true if none of them has seen the app's generation.
	state       *appState
	specChanged bool
	now         time.Time
	plan        plan.Plan
	specErrors  field.ErrorList
	observed    children.Observed
	// observeFailed is true if the live objects could not be read.
	observeFailed bool
	// lastApply says whether the plan is the one that was applied last.
	lastApply lastApply
	changes   []children.Change
	err       error
	// stuckPod is a pod that does not become available, and the reason.
	stuckPod children.StuckPod
	// podListForbidden is true if stuckPod is unknown, because the operator lacks the permission to list pods.
	podListForbidden bool
	// requeueAfter is the time until a delayed write or list of pods is allowed, 0 if none was delayed.
	requeueAfter time.Duration
}

// apply first scales the Deployment, so that a later error does not delay scaling. Then it applies the owned objects, unless the spec is invalid or
// another object has the app's name.
func (r *GracefulAppReconciler) apply(ctx context.Context, api client.Client, s *reconcileState) {
	if s.observeFailed {
		return
	}
	var observed children.Observed
	observed, s.changes, s.err = children.Scale(ctx, api, s.app, s.observed, &s.state.answers)
	if len(s.specErrors) == 0 && len(s.observed.Foreign) == 0 && len(s.observed.Terminating) == 0 {
		s.err = errors.Join(s.err, r.applyObjects(ctx, api, s, observed))
	}
	if s.specChanged && errors.Is(s.err, children.ErrBehind) {
		s.state.generation = 0 // the next reconcile makes the writes of this change
	}
	for _, change := range s.changes {
		log.FromContext(ctx).Info("Changed an owned object", "action", change.Action, "kind", change.Kind, "name", change.Name)
	}
}

func (r *GracefulAppReconciler) applyObjects(ctx context.Context, api client.Client, s *reconcileState, observed children.Observed) error {
	if observed.HasLostReference() {
		if gone, err := r.isGone(ctx, s.app); gone || err != nil {
			return err
		}
	}
	digest := planDigest(s.plan)
	s.lastApply = s.state.comparePlan(digest)
	// Writes that count against the limit come one after another, so that the most important ones come first.
	changes, err := children.Apply(ctx, api, s.plan, observed, &s.state.answers, s.specChanged)
	s.changes = append(s.changes, changes...)
	if !anyError(err, isNotAltered) {
		s.state.appliedDigest = digest
	}
	return err
}

// limitWrite enforces the limit of writes per minute. Writes of the first reconcile after a change of the app do not count.
func (s *reconcileState) limitWrite(ctx context.Context, w write) error {
	if !s.specChanged {
		if wait := s.state.budget.take(s.now, w); wait > 0 {
			s.requeueWithin(wait)
			return &tooManyWritesError{}
		}
	}
	err := w.send(ctx)
	// A conflict is one with the Deployment controller, for example, which writes the status at the same time. The backoff limits the writes that fail.
	if err != nil && !s.specChanged && !isPermanent(err) {
		s.state.budget.giveBack(s.now)
	}
	return err
}

func (s *reconcileState) requeueWithin(wait time.Duration) {
	if s.requeueAfter == 0 || wait < s.requeueAfter {
		s.requeueAfter = wait
	}
}

// writeStatus patches the status if it differs. It returns false if the write is delayed. A change of the counts alone waits for countsDelay, and never
// uses the last write that the limit allows: that one is reserved for a condition. A deleted app is no error. The response is read as an unstructured object, because the app may
// not be decodable.
func (s *reconcileState) writeStatus(ctx context.Context, api client.Client, status v1alpha1.GracefulAppStatus) (bool, error) {
	if apiequality.Semantic.DeepEqual(s.app.Status, status) {
		s.state.countsChanged = time.Time{}
		return true, nil
	}
	if !s.specChanged && differOnlyInCounts(s.app.Status, status) {
		if wait := max(s.untilCountsSettle(status), waitFor(s.state.budget.status, s.now, 2)); wait > 0 {
			s.requeueWithin(wait)
			return false, nil
		}
	}
	s.state.countsChanged = time.Time{}
	updated := s.app.DeepCopy()
	updated.Status = status
	patch, err := client.MergeFrom(s.app).Data(updated)
	if err != nil {
		return false, err
	}
	answer := newUnstructuredApp()
	answer.SetNamespace(s.app.Namespace)
	answer.SetName(s.app.Name)
	err = api.Status().Patch(ctx, answer, client.RawPatch(types.MergePatchType, patch))
	if anyError(err, isRateLimited) {
		return false, nil
	}
	if err == nil {
		s.state.status, s.state.statusVersion, s.state.statusTime = status, answer.GetResourceVersion(), s.now
	}
	return true, client.IgnoreNotFound(err)
}

// countsDelay is the wait before a status is written in which only the counts differ. While pods start and end, the counts change several times a second.
const countsDelay = time.Second

// untilCountsSettle returns the wait before a status that differs only in counts and messages may be written, 0 if only messages differ.
func (s *reconcileState) untilCountsSettle(status v1alpha1.GracefulAppStatus) time.Duration {
	if !countsDiffer(s.app.Status, status) {
		return 0
	}
	if s.state.countsChanged.IsZero() {
		s.state.countsChanged = s.now
	}
	return s.state.countsChanged.Add(countsDelay).Sub(s.now)
}

// result returns the time of the next reconcile. Transient errors are retried with backoff. After a rejected request, the next reconcile comes with a
// watch event, or after rejectedRequeueAfter. After a delayed write, it comes after requeueAfter.
func (s *reconcileState) result() (ctrl.Result, error) {
	after := time.Duration(0)
	switch {
	case anyError(s.err, isTransient):
		return retry(0), s.err
	case anyError(s.err, isConflict):
		after = conflictRequeueAfter
	case anyError(s.err, isPermanent):
		after = rejectedRequeueAfter
	case s.err == nil:
		if shown := s.lastScaleConflict(); shown != nil {
			after = max(time.Second, shown.LastTransitionTime.Add(scaleConflictDuration).Sub(s.now))
		}
	}
	if after == 0 || s.requeueAfter > 0 && s.requeueAfter < after {
		after = s.requeueAfter
	}
	if after == 0 {
		return ctrl.Result{}, nil
	}
	return retry(after), nil
}
