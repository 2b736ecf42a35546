package webhook

import (
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"

	"golang.org/x/time/rate"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
)

// The API server does not say to a webhook who it is, so whoever reaches its port can post a review that is none, of any namespace. The
// answer to a real one may tell of quotas, policies and names there. So the real ones come by a path that only those know who may read
// webhook configurations: it is drawn at random, written into ours, and changed each hour. By any other path one gets what follows from
// the posted object alone.

// maxReviewBytes is room for an object and its old self, each as large as etcd takes (1.5 MiB).
const maxReviewBytes = 4 << 20

// Reviews by an unknown path cost a fraction of a millisecond each; more than these are refused, whoever sends them.
const (
	strangersPerSecond = 100
	strangersAtOnce    = 200
)

// door knows the paths of real reviews: those that the webhook configuration has, and those that it had before, for the API server hears of a
// change a moment later.
type door struct {
	mu              sync.RWMutex
	current, before []string
}

func (d *door) learn(c *admissionregistrationv1.ValidatingWebhookConfiguration) {
	paths := pathsOf(c)
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(paths, d.current) {
		d.before, d.current = d.current, paths
	}
}

func (d *door) knows(asked string) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	known := 0
	for _, p := range slices.Concat(d.current, d.before) {
		known |= subtle.ConstantTimeCompare([]byte(p), []byte(asked))
	}
	return known == 1
}

// pathsOf are a configuration's paths, apart from the root, which is no secret.
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
		// The server's mux has cleaned what arrives.
		if cleaned := path.Clean("/" + given); cleaned != "/" {
			paths = append(paths, cleaned)
		}
	}
	return paths
}

// newPath is a DNS-1123 subdomain, as the API server wants each part of a path.
func newPath() string { return "/" + strings.ToLower(rand.Text()+rand.Text()) }

// guarded lets the API server in to full, and everybody else to plain.
func guarded(d *door, full, plain http.Handler) http.Handler {
	strangers := rate.NewLimiter(strangersPerSecond, strangersAtOnce)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxReviewBytes)
		switch {
		case d.knows(r.URL.Path):
			full.ServeHTTP(w, r)
		case strangers.Allow():
			plain.ServeHTTP(w, r)
		default:
			http.Error(w, "too many reviews", http.StatusTooManyRequests)
		}
	})
}
