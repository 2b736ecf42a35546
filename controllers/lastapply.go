package controllers

import (
	"crypto/sha256"
	"encoding/json"

	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// lastApply is the result of comparing an app's plan with the plan that this process applied last. If the plan is the same and an object differs from
// it, another client has changed the object. The generation and the status cannot show that: the first apply may fail, and an upgrade of the
// operator, a finished rollout or an autoscaler changes the plan within one generation.
type lastApply string

const (
	// unknownPlan means that this process has not applied a plan for the app yet.
	unknownPlan lastApply = ""
	samePlan    lastApply = "same"
	otherPlan   lastApply = "other"
)

func planDigest(p plan.Plan) [sha256.Size]byte {
	data, err := json.Marshal([]any{p.Deployment, p.Service, p.PodDisruptionBudget})
	if err != nil { // apply configurations can always be marshaled
		return [sha256.Size]byte{}
	}
	return sha256.Sum256(data)
}

func (s *appState) comparePlan(digest [sha256.Size]byte) lastApply {
	switch s.appliedDigest {
	case [sha256.Size]byte{}:
		return unknownPlan
	case digest:
		return samePlan
	}
	return otherPlan
}
