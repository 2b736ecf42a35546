package children

import (
	"crypto/sha256"
	"encoding/json"
	"sync"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// Answers remembers, for each owned object of one app, the API server's answer if it differs from the applied configuration because a mutating
// policy adds or changes fields. The operator does not apply the same configuration again: it would change nothing, or, if the policy writes the
// current time, would repeat forever. It also remembers which revisions were equal to the plan, because most reconciles compare the same ones again. The
// zero value is ready to use.
type Answers struct {
	mu     sync.Mutex
	byKind map[string]answer
	equal  map[string]comparison
	// written is the last write of each owned object, by kind, and of the Deployment's scale.
	written map[string]lastWrite
	now     time.Time
}

// comparison identifies a revision of a live object and the configuration that it was compared with.
type comparison struct {
	uid           types.UID
	revision      digest
	configuration digest
}

type digest [sha256.Size]byte

func comparisonOf(live metav1.Object, desired runtime.ApplyConfiguration) comparison {
	data, err := json.Marshal(desired)
	if err != nil { // apply configurations can always be marshaled
		return comparison{}
	}
	return comparison{uid: live.GetUID(), revision: revisionOf(live), configuration: sha256.Sum256(data)}
}

// revisionOf returns a digest of the fields that a comparison reads. A Deployment has a new resource version for each change of its status; its generation
// counts the changes of its spec and its annotations. A Service has no generation.
func revisionOf(live metav1.Object) digest {
	if live.GetGeneration() == 0 {
		return sha256.Sum256([]byte(live.GetResourceVersion()))
	}
	content := struct {
		Generation          int64
		Labels, Annotations map[string]string
		Owners              []metav1.OwnerReference
		Finalizers          []string
		Fields              []metav1.ManagedFieldsEntry
	}{
		Generation: live.GetGeneration(), Labels: live.GetLabels(), Annotations: live.GetAnnotations(), Owners: live.GetOwnerReferences(),
		Finalizers: live.GetFinalizers(),
	}
	for _, entry := range live.GetManagedFields() {
		if entry.Subresource != "status" {
			content.Fields = append(content.Fields, entry)
		}
	}
	data, err := json.Marshal(content)
	if err != nil { // managed fields that are not JSON
		return sha256.Sum256([]byte(live.GetResourceVersion()))
	}
	return sha256.Sum256(data)
}

// isEqual calls compare, unless the same revision and configuration are known to be equal. A comparison takes a millisecond.
func (a *Answers) isEqual(o ownedObject, compare func() bool) bool {
	if a == nil {
		return compare()
	}
	this := comparisonOf(o.live, o.desired)
	a.mu.Lock()
	known := a.equal[o.kind] == this && this != comparison{}
	a.mu.Unlock()
	if known || !compare() {
		return known
	}
	a.keepEqual(o.kind, this)
	return true
}

func (a *Answers) keepEqual(kind string, c comparison) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.equal == nil {
		a.equal = map[string]comparison{}
	}
	a.equal[kind] = c
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

// keep remembers an answer: that its revision is equal to the applied configuration, or how it differs.
func (a *Answers) keep(kind string, revision metav1.Object, given answer) {
	if a == nil {
		return
	}
	if apiequality.Semantic.DeepEqual(given.stored, given.applied) {
		a.keepEqual(kind, comparisonOf(revision, given.applied))
		a.forget(kind)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	given.at = a.now
	if a.byKind == nil {
		a.byKind = map[string]answer{}
	}
	a.byKind[kind] = given
}

func (a *Answers) forget(kind string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.byKind, kind)
}

// find returns the answer to an earlier apply of the same configuration to the same object, if the object has not changed since.
func (a *Answers) find(o ownedObject) (answer, bool) {
	if a == nil {
		return answer{}, false
	}
	a.mu.Lock()
	last, ok := a.byKind[o.kind]
	a.mu.Unlock()
	if !ok || o.live == nil || last.uid != o.live.GetUID() || !apiequality.Semantic.DeepEqual(last.applied, o.desired) {
		return answer{}, false
	}
	stored, err := lastApplied(o.live)
	return last, err == nil && apiequality.Semantic.DeepEqual(last.stored, stored)
}

// Begin starts a reconcile. It forgets changed answers that are not newer than expired, so that the operator applies those objects again.
func (a *Answers) Begin(now, expired time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now = now
	for kind, last := range a.byKind {
		if last.altered != nil && !last.at.After(expired) {
			delete(a.byKind, kind)
		}
	}
}
