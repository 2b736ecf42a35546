package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/gracefulapp/gracefulapp/drain"
)

// ServerOptions configure the webhook server.
type ServerOptions struct {
	Host    string // "" means all addresses
	Port    int
	CertDir string // directory of tls.crt and tls.key
	// Shutdown is how long the server may take to end after SIGTERM.
	Shutdown time.Duration
}

// server is controller-runtime's webhook server with another Start. controller-runtime cancels the context of every review in flight at SIGTERM, and
// drops reviews that the API server has sent and that the process has not read yet.
type server struct {
	webhook.Server
	options ServerOptions
	started atomic.Bool
}

// NewServer returns the webhook server. It offers HTTP/1.1 only: over HTTP/2, a review may be lost if the API server sends it while a response closes the
// connection.
func NewServer(o ServerOptions) webhook.Server {
	return &server{Server: webhook.NewServer(webhook.Options{}), options: o}
}

func (s *server) address() string {
	return net.JoinHostPort(s.options.Host, strconv.Itoa(s.options.Port))
}

const (
	// readHeaderTimeout and idleTimeout are controller-runtime's.
	readHeaderTimeout = 32 * time.Second
	idleTimeout       = 90 * time.Second
	maxHeaderBytes    = 1 << 20
)

// Start serves until ctx is done and every review is answered. It accepts connections for 2 s or more after ctx is done: the kube-proxy of a control-plane
// node may hear of the pod's end late, and a refused review fails a user's write. The manager releases its Lease when Start has returned, so the next leader
// begins up to 2 s later; the apps run meanwhile.
func (s *server) Start(ctx context.Context) error {
	certificates, err := certwatcher.New(filepath.Join(s.options.CertDir, "tls.crt"), filepath.Join(s.options.CertDir, "tls.key"))
	if err != nil {
		return err
	}
	log := ctrl.Log.WithName("webhook")
	go func() {
		if err := certificates.Start(ctx); err != nil {
			log.Error(err, "Watching the certificate stopped")
		}
	}()
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	srv := &http.Server{
		Addr: s.address(), Handler: s.WebhookMux(), Protocols: &protocols, TLSConfig: &tls.Config{GetCertificate: certificates.GetCertificate, MinVersion: tls.VersionTLS12},
		ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", srv.Addr)
	if err != nil {
		return err
	}
	s.started.Store(true)
	drainer := drain.New(drain.Config{Shutdown: s.options.Shutdown, Request: reviewTimeout, Log: slog.New(logr.ToSlogHandler(log))})
	return drainer.Serve(ctx, srv, l)
}

// StartedChecker returns a check that succeeds as soon as the server accepts connections.
func (s *server) StartedChecker() healthz.Checker {
	return func(r *http.Request) error {
		if !s.started.Load() {
			return errors.New("the webhook server has not started yet")
		}
		dialer := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // the check is for the port, not for the certificate
		conn, err := dialer.DialContext(r.Context(), "tcp", s.address())
		if err != nil {
			return fmt.Errorf("the webhook server is not reachable: %w", err)
		}
		return conn.Close()
	}
}
