package controllers

import (
	"crypto/sha256"
	"encoding/json"

	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// lastApply tells how an app's plan compares with the one that this process has applied last for it. If an object is not as planned although the
// same plan was applied before, another client has changed it. Neither the generation nor the status can tell that: an apply may fail at the
// first try, and an upgrade of the operator, a finished rollout or an autoscaler change the plan of the same generation.
type lastApply string

const (
	// unknownPlan: this process has applied none yet.
	unknownPlan lastApply = ""
	samePlan    lastApply = "same"
	otherPlan   lastApply = "other"
)

func planDigest(p plan.Plan) [sha256.Size]byte {
	data, err := json.Marshal([]any{p.Deployment, p.Service, p.PodDisruptionBudget})
	if err != nil { // cannot happen to apply configurations
		return [sha256.Size]byte{}
	}
	return sha256.Sum256(data)
}

func (s *appState) compareWithLast(digest [sha256.Size]byte) lastApply {
	switch s.applied {
	case [sha256.Size]byte{}:
		return unknownPlan
	case digest:
		return samePlan
	}
	return otherPlan
}
