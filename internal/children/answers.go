package children

import (
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// Answers remembers, for each owned object of one app, the API server's answer if it differs from the applied configuration because a mutating
// policy adds or changes fields. The operator does not apply the same configuration again: it would change nothing, or, if the policy writes the
// current time, would repeat forever. The zero value is ready to use.
type Answers struct {
	byKind map[string]answer
	now    time.Time
}

type answer struct {
	uid     types.UID
	applied runtime.ApplyConfiguration
	// stored has the fields of the answer that the operator owns according to metadata.managedFields.
	stored runtime.ApplyConfiguration
	// altered is nil if the policy only added fields.
	altered error
	at      time.Time
}

// keep stores an answer that differs from the applied configuration.
func (a *Answers) keep(kind string, given answer) {
	if a == nil {
		return
	}
	given.at = a.now
	delete(a.byKind, kind)
	if apiequality.Semantic.DeepEqual(given.stored, given.applied) {
		return
	}
	if a.byKind == nil {
		a.byKind = map[string]answer{}
	}
	a.byKind[kind] = given
}

// find returns the answer to an earlier apply of the same configuration to the same object, if the object has not changed since.
func (a *Answers) find(o ownedObject) (answer, bool) {
	if a == nil {
		return answer{}, false
	}
	last, ok := a.byKind[o.kind]
	if !ok || o.live == nil || last.uid != o.live.GetUID() || !apiequality.Semantic.DeepEqual(last.applied, o.desired) {
		return answer{}, false
	}
	stored, err := lastApplied(o.live)
	return last, err == nil && apiequality.Semantic.DeepEqual(last.stored, stored)
}

// Begin starts a reconcile. It forgets changed answers that are not newer than expired, so that the operator applies those objects again.
func (a *Answers) Begin(now, expired time.Time) {
	a.now = now
	for kind, last := range a.byKind {
		if last.altered != nil && !last.at.After(expired) {
			delete(a.byKind, kind)
		}
	}
}
