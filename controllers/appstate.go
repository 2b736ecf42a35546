package controllers

import (
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/children"
)

// appState holds the values of an app that the operator keeps between reconciles. After a restart of the operator it is empty, which costs a few additional writes.
type appState struct {
	uid types.UID
	// decoded is the revision of the app that was decoded last. A settled app has none, because it would need as much memory as the app in the cache.
	decoded decodedApp
	// generation is the app's generation at the last reconcile.
	generation int64
	budget     writeBudget
	answers    children.Answers
	// appliedDigest is the digest of the plan that the operator applied last.
	appliedDigest [sha256.Size]byte
	// status is the status that the operator wrote last, at statusTime; statusVersion is the app's resource version after that write.
	status        v1alpha1.GracefulAppStatus
	statusVersion string
	statusTime    time.Time
	// reported is the last status with events if the write of a later one failed, otherwise nil.
	reported *v1alpha1.GracefulAppStatus
	stuck    stuckState
	// drainToken is that of the app's drain sidecar, or for a new one. It is kept, because the cache may show the Deployment with it only after another
	// reconcile, and because another client may change or delete it there.
	drainToken string
	// countsChanged is the time since which only the counts in the status differ, zero if they do not.
	countsChanged time.Time
}

// maxCacheDelay is longer than a cache needs to show a write. An app that is older for longer was restored from a backup of etcd.
const maxCacheDelay = time.Minute

// correctStatus sets the app's status to the last written one if the cache does not show it yet. Otherwise the operator would write the same status
// again, and that write would count against its limit.
func (s *appState) correctStatus(app *v1alpha1.GracefulApp, now time.Time) {
	if now.Sub(s.statusTime) >= maxCacheDelay {
		return
	}
	if order, err := resourceversion.CompareResourceVersion(app.ResourceVersion, s.statusVersion); err == nil && order < 0 {
		app.Status = *s.status.DeepCopy()
	}
}

// reportedStatus returns the last status whose changes have events. A write without a response may have been stored: then the app has its status, but no
// event has reported it.
func (s *appState) reportedStatus(app *v1alpha1.GracefulApp) v1alpha1.GracefulAppStatus {
	if s.reported != nil {
		return *s.reported
	}
	return app.Status
}

// appStates holds the state of every app. The zero value is ready to use.
type appStates struct {
	mu    sync.Mutex
	byApp map[types.NamespacedName]*appState
}

// forApp returns the app in typed form, and its state. Until an app is settled, each of its revisions is decoded once, because several reconciles read the same
// one. The state needs no lock, because controller-runtime runs one reconcile of an app at a time.
func (s *appStates) forApp(stored *unstructured.Unstructured) (decodedApp, *appState) {
	s.mu.Lock()
	key := client.ObjectKeyFromObject(stored)
	state := s.byApp[key]
	if state == nil || state.uid != stored.GetUID() {
		state = &appState{uid: stored.GetUID(), budget: newWriteBudget(), drainToken: rand.Text()}
		if s.byApp == nil {
			s.byApp = map[types.NamespacedName]*appState{}
		}
		s.byApp[key] = state
	}
	s.mu.Unlock()
	if version := stored.GetResourceVersion(); state.decoded.app == nil || state.decoded.app.ResourceVersion != version {
		state.decoded.app, state.decoded.errs = decode(stored)
	}
	app := *state.decoded.app // a copy, because correctStatus changes the status
	return decodedApp{app: &app, errs: state.decoded.errs}, state
}

// isNewGeneration reports whether the app's generation has changed since the last call.
func (s *appState) isNewGeneration(app *v1alpha1.GracefulApp) bool {
	changed := s.generation != app.Generation
	s.generation = app.Generation
	return changed
}

func (s *appStates) forget(key types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byApp, key)
}
