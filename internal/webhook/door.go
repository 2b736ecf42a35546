package webhook

import (
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
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
	"sigs.k8s.io/controller-runtime/pkg/webhook"
)

// The API server does not say to a webhook who it is, so whoever reaches its port can post a review that is none, of any namespace. The
// answer to a real one may tell of quotas, policies and names there. So the real ones come by a path that only those know who may read
// webhook configurations: it is drawn at random, written into ours, and changed each hour. By any other path one gets what follows from
// the posted object alone.

const (
	// maxReviewBytes is room for an object and its old self, each as large as etcd takes (1.5 MiB).
	maxReviewBytes = 4 << 20
	// readTimeout is how long a review may take to arrive; the API server itself waits for an answer for timeoutSeconds, 5.
	readTimeout = 5 * time.Second
)

// Whoever sends by an unknown path is held to what cannot exhaust the operator's memory and CPU: a spec has 256 KiB at most.
const (
	maxStrangerBytes   = 1 << 20
	strangersAtOnce    = 8
	strangersPerSecond = 100
	strangersBurst     = 200
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

// pathsOf are the paths in a configuration that newPath has drawn.
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
		// Another path than those that we draw may be known to everybody, as the generated one is.
		if drawnPath.MatchString(given) {
			paths = append(paths, given)
		}
	}
	return paths
}

var drawnPath = regexp.MustCompile(`^/[a-z2-7]{52}$`)

// newPath is a DNS-1123 subdomain, as the API server wants each part of a path.
func newPath() string { return "/" + strings.ToLower(rand.Text()+rand.Text()) }

// NewServer is for reviews at host, "" for all of them. It speaks no HTTP/2, over which an answer cannot end its connection for good: a review
// that is sent meanwhile may be lost.
func NewServer(host string, port int, certDir string) webhook.Server {
	return webhook.NewServer(webhook.Options{Host: host, Port: port, CertDir: certDir, TLSOpts: []func(*tls.Config){
		func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} },
	}})
}

// guarded lets the API server in to full, and everybody else to plain. Each answer ends its connection: the API server would keep it, and
// write the next review on it just when this replica ends (1 of 756 in two rollouts of the operator, measured in the lab).
func guarded(d *door, full, plain http.Handler) http.Handler {
	strangers := rate.NewLimiter(strangersPerSecond, strangersBurst)
	places := make(chan struct{}, strangersAtOnce)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Not every connection can have a deadline; the webhook server's can.
		_ = http.NewResponseController(w).SetReadDeadline(clock.RealClock{}.Now().Add(readTimeout))
		w.Header().Set("Connection", "close")
		if d.knows(r.URL.Path) {
			r.Body = http.MaxBytesReader(w, r.Body, maxReviewBytes)
			full.ServeHTTP(w, r)
			return
		}
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
		default:
			turnAway(w)
			return
		}
		if !strangers.Allow() {
			turnAway(w)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxStrangerBytes)
		plain.ServeHTTP(w, r)
	})
}

func turnAway(w http.ResponseWriter) {
	http.Error(w, "too many admission reviews on an unknown path; try again later", http.StatusTooManyRequests)
}
