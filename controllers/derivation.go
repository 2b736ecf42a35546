package controllers

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// isApplied reports whether the operator has applied a Deployment derived from the current spec. A policy may have changed its fields.
func (p reconcileState) isApplied() bool {
	return p.plan.Deployment != nil && len(p.observed.Foreign) == 0 && len(p.observed.Terminating) == 0 && !anyError(p.err, isNotAltered)
}

// hasUnknownDerivation reports whether a newer operator derived the app's Deployment. Then this operator cannot validate the spec.
func (p reconcileState) hasUnknownDerivation() bool {
	d := p.observed.Deployment
	return p.plan.Derivation.Version > plan.NewestDerivation && d != nil && plan.Owns(p.app, d)
}

// isSpecChanged reports whether the spec has changed since the Deployment was derived, in a field that causes a rollout.
func (p reconcileState) isSpecChanged() bool {
	last := p.app.Status.Derivation
	return last != nil && last.SpecDigest != p.plan.Derivation.SpecDigest
}

// derivationConflict returns the condition DerivationConflict. Its message says why the app keeps a derivation version that does not fit, and how to
// correct it.
func (p reconcileState) derivationConflict() metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.ConditionDerivationConflict}
	asked := plan.AskedDerivation(p.app)
	switch {
	case p.plan.Derivation.Version == 0: // the app or its objects could not be read; keep the last condition
		if last := meta.FindStatusCondition(p.app.Status.Conditions, c.Type); last != nil {
			c.Reason, c.Message = last.Reason, last.Message
		}
	case p.hasUnknownDerivation():
		c.Reason, c.Message = v1alpha1.ReasonUnknownDerivation, p.unknownDerivation()
	case len(asked) > 0:
		c.Reason = v1alpha1.ReasonUnknownDerivation
		c.Message = fmt.Sprintf("the app keeps derivation version %d: %s", p.plan.Derivation.Version, asked.ToAggregate())
	case len(p.plan.Outdated) > 0:
		c.Reason = v1alpha1.ReasonRuleTightened
		c.Message = fmt.Sprintf("the app keeps derivation version %d, because version %d rejects its spec: %s; when you correct the spec, the "+
			"app moves to version %d, which restarts the pods", p.plan.Derivation.Version, plan.NewestDerivation, p.plan.Outdated.ToAggregate(),
			plan.NewestDerivation)
	}
	return c
}

func (p reconcileState) unknownDerivation() string {
	return fmt.Sprintf("Deployment %s was derived by version %d, but this operator supports only versions %d to %d and updates nothing except the "+
		"replicas; upgrade the operator, or set the annotation %s: \"%d\", which restarts the pods", p.app.Name, p.plan.Derivation.Version,
		plan.OldestDerivation, plan.NewestDerivation, v1alpha1.AnnotationDerivation, plan.NewestDerivation)
}
