package children

import (
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// Answers remembers, for the children of one app, where the API server has stored something else than what was applied: a mutating policy adds
// fields or alters them. To apply the same again would change nothing, or, if the policy stamps the time, never end. The zero value is ready.
type Answers struct {
	byKind map[string]answer
	now    time.Time
}

type answer struct {
	uid     types.UID
	applied runtime.ApplyConfiguration
	// stored is the part of the answer that the managed fields call ours.
	stored runtime.ApplyConfiguration
	// altered is nil if the policy has only added fields.
	altered error
	at      time.Time
}

// keep remembers an answer, unless it is what was applied.
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

// find returns the answer to the same apply of the same object, provided that the object is still as it was stored.
func (a *Answers) find(c child) (answer, bool) {
	if a == nil {
		return answer{}, false
	}
	last, ok := a.byKind[c.kind]
	if !ok || c.object == nil || last.uid != c.object.GetUID() || !apiequality.Semantic.DeepEqual(last.applied, c.want) {
		return answer{}, false
	}
	stored, err := applied(c.object)
	return last, err == nil && apiequality.Semantic.DeepEqual(last.stored, stored)
}

// Begin a reconcile. It forgets the alterations that were answered before a time, so that they are tried again.
func (a *Answers) Begin(now, expired time.Time) {
	a.now = now
	for kind, last := range a.byKind {
		if last.altered != nil && !last.at.After(expired) {
			delete(a.byKind, kind)
		}
	}
}
