package children

import (
	"errors"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// lastWrite is the operator's last write of an object.
type lastWrite struct {
	uid             types.UID
	resourceVersion string // after the write
	isDeleted       bool
	replicas        int32 // that Scale wrote
	at              time.Time
}

// maxCacheDelay is longer than the cache usually needs to show a write. Each kind has a watch of its own, so the event of one object may cause a reconcile
// before the cache shows another. After this time, another client has deleted the object, or it was restored from a backup.
const maxCacheDelay = time.Second

// ErrBehind is a conflict: the next reconcile sees the current object.
var ErrBehind = apierrors.NewConflict(schema.GroupResource{}, "", errors.New("the cache does not show the operator's last write yet"))

func (a *Answers) keepWrite(key string, w lastWrite) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.written == nil {
		a.written = map[string]lastWrite{}
	}
	w.at = a.now
	a.written[key] = w
}

// writeNotShown returns the last write with the key, a kind or scaleKey, if the cache does not show it yet.
func (a *Answers) writeNotShown(key string, live client.Object) (lastWrite, bool) {
	if a == nil {
		return lastWrite{}, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	last, ok := a.written[key]
	switch {
	case !ok, a.now.Sub(last.at) >= maxCacheDelay:
		return lastWrite{}, false
	case live == nil:
		return last, !last.isDeleted
	case last.uid != live.GetUID():
		return last, false
	case last.isDeleted:
		return last, true
	}
	order, err := resourceversion.CompareResourceVersion(live.GetResourceVersion(), last.resourceVersion)
	return last, err == nil && order < 0
}

// resultNotShown returns the error of the last write if that was the same, else ErrBehind.
func (a *Answers) resultNotShown(o ownedObject) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if last := a.byKind[o.kind]; last.altered != nil && apiequality.Semantic.DeepEqual(last.applied, o.desired) {
		return last.altered
	}
	return ErrBehind
}

// scaleKey is the key of the last write of the Deployment's scale.
const scaleKey = deploymentKind + "/" + scaleSubresource

// isScaledTo reports whether the operator has scaled the Deployment to the number, and the cache does not show it yet.
func (a *Answers) isScaledTo(d *appsv1.Deployment, replicas int32) bool {
	last, notShown := a.writeNotShown(scaleKey, d)
	return notShown && last.replicas == replicas
}
