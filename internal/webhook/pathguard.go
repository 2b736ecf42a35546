package webhook

import (
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/utils/clock"
)

// The API server does not authenticate to webhooks. Anyone who can reach the port can send a forged AdmissionReview for any namespace, and a full
// answer may reveal quotas, policies and names of that namespace. So the operator writes a random path into its webhook configuration and replaces it
// every hour. Only clients that may read webhook configurations know the path. A review on any other path is answered from the object in it alone.

const (
	// maxReviewBytes has room for the old and the new object, each of the maximum size in etcd (1.5 MiB).
	maxReviewBytes = 4 << 20
	// reviewTimeout equals the webhook's timeoutSeconds. It limits how long the server reads a request.
	reviewTimeout = 5 * time.Second
)

// Limits for requests on an unknown path. They protect the operator's memory and CPU; a spec has at most 256 KiB.
const (
	maxUnauthenticatedBytes  = 1 << 20
	unauthenticatedAtOnce    = 8
	unauthenticatedPerSecond = 100
	unauthenticatedBurst     = 200
)

// pathGuard knows the secret paths: the current ones of the webhook configuration and the previous ones, because the API server sees a change of the
// configuration a moment later.
type pathGuard struct {
	mu              sync.RWMutex
	current, before []string
}

func (g *pathGuard) update(c *admissionregistrationv1.ValidatingWebhookConfiguration) {
	paths := pathsOf(c)
	g.mu.Lock()
	defer g.mu.Unlock()
	if !slices.Equal(paths, g.current) {
		g.before, g.current = g.current, paths
	}
}

func (g *pathGuard) accepts(requested string) bool {
	g.mu.RLock()
	defer g.mu.RUnlock()
	known := 0
	for _, p := range slices.Concat(g.current, g.before) {
		known |= subtle.ConstantTimeCompare([]byte(p), []byte(requested))
	}
	return known == 1
}

// pathsOf returns the secret paths in a webhook configuration.
func pathsOf(c *admissionregistrationv1.ValidatingWebhookConfiguration) []string {
	var paths []string
	for _, w := range c.Webhooks {
		given := ""
		switch {
		case w.ClientConfig.Service != nil && w.ClientConfig.Service.Path != nil:
			given = *w.ClientConfig.Service.Path
		case w.ClientConfig.URL != nil:
			if u, err := url.Parse(*w.ClientConfig.URL); err == nil {
				given = u.Path
			}
		}
		// Any other path may be public, for example the path in the generated manifest.
		if secretPath.MatchString(given) {
			paths = append(paths, given)
		}
	}
	return paths
}

var secretPath = regexp.MustCompile(`^/[a-z2-7]{52}$`)

// newPath returns a random path. It is a DNS-1123 subdomain, because the API server requires that of each part of a webhook path.
func newPath() string { return "/" + strings.ToLower(rand.Text()+rand.Text()) }

// guarded sends requests on a secret path to withDryRun and all others, within limits, to withoutDryRun. Each response closes its connection.
// Otherwise the API server would send the next review on a connection to a replica that is shutting down (1 of 756 reviews failed in two rollouts of
// the operator in the lab).
func guarded(g *pathGuard, withDryRun, withoutDryRun http.Handler) http.Handler {
	limiter := rate.NewLimiter(unauthenticatedPerSecond, unauthenticatedBurst)
	slots := make(chan struct{}, unauthenticatedAtOnce)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The error is ignored: connections of the webhook server support deadlines, those of a test's recorder do not.
		_ = http.NewResponseController(w).SetReadDeadline(clock.RealClock{}.Now().Add(reviewTimeout))
		w.Header().Set("Connection", "close")
		if g.accepts(r.URL.Path) {
			r.Body = http.MaxBytesReader(w, r.Body, maxReviewBytes)
			withDryRun.ServeHTTP(w, r)
			return
		}
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		default:
			tooManyRequests(w)
			return
		}
		if !limiter.Allow() {
			tooManyRequests(w)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxUnauthenticatedBytes)
		withoutDryRun.ServeHTTP(w, r)
	})
}

func tooManyRequests(w http.ResponseWriter) {
	http.Error(w, "too many admission reviews on an unknown path; try again later", http.StatusTooManyRequests)
}
