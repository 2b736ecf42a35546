package controllers

import (
	"crypto/sha256"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/children"
)

// appState is what the operator remembers of an app from one reconcile to the next. If it is lost, an app costs a few more writes.
type appState struct {
	uid types.UID
	// generation was seen by the last reconcile.
	generation int64
	budget     writeBudget
	answers    children.Answers
	// applied is the digest of the plan that was applied last.
	applied [sha256.Size]byte
	// status is the one that was written last, at statusTime, and statusVersion the resource version that the app got by it.
	status        v1alpha1.GracefulAppStatus
	statusVersion string
	statusTime    time.Time
	stuck         stuckState
}

// maxCacheDelay is more than a cache needs to show a write. An older resource version than that of the write is then no delay: etcd was restored
// from a backup.
const maxCacheDelay = time.Minute

// correct gives an app the status that was written last if the cache does not show it yet. Else the same status would be written again, which
// counts as a write.
func (s *appState) correct(app *v1alpha1.GracefulApp, now time.Time) {
	if now.Sub(s.statusTime) >= maxCacheDelay {
		return
	}
	if order, err := resourceversion.CompareResourceVersion(app.ResourceVersion, s.statusVersion); err == nil && order < 0 {
		app.Status = *s.status.DeepCopy()
	}
}

// appStates of all apps. The zero value is ready.
type appStates struct {
	mu    sync.Mutex
	byApp map[types.NamespacedName]*appState
}

// of an app, and whether no earlier call has seen its generation. Only one reconcile of an app runs at a time, so that what is
// returned needs no lock.
func (s *appStates) of(app *v1alpha1.GracefulApp) (state *appState, changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := types.NamespacedName{Namespace: app.Namespace, Name: app.Name}
	state = s.byApp[key]
	if state == nil || state.uid != app.UID {
		state = &appState{uid: app.UID, budget: newWriteBudget()}
		if s.byApp == nil {
			s.byApp = map[types.NamespacedName]*appState{}
		}
		s.byApp[key] = state
	}
	changed = state.generation != app.Generation
	state.generation = app.Generation
	return state, changed
}

func (s *appStates) forget(key types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byApp, key)
}
