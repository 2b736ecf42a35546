package controllers

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// isApplied reports whether the operator has applied a Deployment derived from the current spec. A policy may have changed its fields.
func (s reconcileState) isApplied() bool {
	return s.plan.Deployment != nil && len(s.observed.Foreign) == 0 && len(s.observed.Terminating) == 0 && !anyError(s.err, isNotAltered)
}

// hasUnknownDerivation reports whether a newer operator derived the app's Deployment. Then this operator cannot validate the spec.
func (s reconcileState) hasUnknownDerivation() bool {
	d := s.observed.Deployment
	return s.plan.Derivation.Version > plan.NewestDerivation && d != nil && plan.Owns(s.app, d)
}

// isSpecChanged reports whether the spec has changed since the Deployment was derived, in a field that causes a rollout.
func (s reconcileState) isSpecChanged() bool {
	last := s.app.Status.Derivation
	return last != nil && last.SpecDigest != s.plan.Derivation.SpecDigest
}

// derivationConflict returns the condition DerivationConflict. Its message says why the app keeps a derivation version that does not fit, and how to
// correct it.
func (s reconcileState) derivationConflict() metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.ConditionDerivationConflict}
	asked := plan.CheckRequestedDerivation(s.app)
	switch {
	case s.plan.Derivation.Version == 0: // the app or its objects could not be read; keep the last condition
		if last := meta.FindStatusCondition(s.app.Status.Conditions, c.Type); last != nil {
			c.Reason, c.Message = last.Reason, last.Message
		}
	case s.hasUnknownDerivation():
		c.Reason, c.Message = v1alpha1.ReasonUnknownDerivation, s.unknownDerivation()
	case len(asked) > 0:
		c.Reason = v1alpha1.ReasonUnknownDerivation
		c.Message = fmt.Sprintf("the app keeps derivation version %d: %s", s.plan.Derivation.Version, asked.ToAggregate())
	case len(s.plan.NewerVersionErrors) > 0:
		c.Reason = v1alpha1.ReasonRuleTightened
		c.Message = fmt.Sprintf("the app keeps derivation version %d, because version %d rejects its spec: %s; when you correct the spec, the "+
			"app moves to version %d, which restarts the pods", s.plan.Derivation.Version, plan.NewestDerivation, s.plan.NewerVersionErrors.ToAggregate(),
			plan.NewestDerivation)
	}
	return c
}

func (s reconcileState) unknownDerivation() string {
	return fmt.Sprintf("Deployment %s was derived by version %d, but this operator supports only versions %d to %d and updates nothing except the "+
		"replicas; upgrade the operator, or set the annotation %s: \"%d\", which restarts the pods", s.app.Name, s.plan.Derivation.Version,
		plan.OldestDerivation, plan.NewestDerivation, v1alpha1.AnnotationDerivation, plan.NewestDerivation)
}
