package controllers

import (
	"crypto/sha256"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/children"
)

// In every state, the operator writes at most 12 times per minute for one app: another controller that undoes each write would otherwise be
// answered at the speed of the network. The first reconcile after a change of the app's spec is not counted.
const (
	// writeBurst and writeInterval give 6 + 60/10 = 12 writes in any minute.
	writeBurst    = 6
	writeInterval = 10 * time.Second
	// statusReserve is kept for the status when the objects of the app are written, so that it says why they are not written more often.
	statusReserve = 1
	// countsReserve is kept for repairs and conditions when only the counts of the status have changed, as they do all the time in a rollout.
	countsReserve = 3
)

// appState is what the operator remembers of an app from one reconcile to the next. If it is lost, an app costs a few more writes.
type appState struct {
	uid types.UID
	// generation was seen by the last reconcile.
	generation int64
	writes     *rate.Limiter
	answers    children.Answers
	// applied is the digest of the plan that was applied last.
	applied [sha256.Size]byte
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
		state = &appState{uid: app.UID, writes: rate.NewLimiter(rate.Every(writeInterval), writeBurst)}
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
