package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/webhook"
)

// testServer is a webhook server over loopback. Its term is SIGTERM.
type testServer struct {
	webhook.Server
	address string
	term    context.CancelFunc
	ended   chan error
}

func startServer(t *testing.T, handler http.HandlerFunc) *testServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // for a free port
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s := &testServer{address: l.Addr().String(), ended: make(chan error, 1)}
	s.Server = NewServer(ServerOptions{Host: "127.0.0.1", Port: port, CertDir: certificateDir(t), Shutdown: 10 * time.Second})
	s.Register("/", handler)
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", nil)
	if err := s.StartedChecker()(request); err == nil {
		t.Error("the check succeeds before the server has started")
	}
	ctx, cancel := context.WithCancel(t.Context())
	s.term = cancel
	go func() { s.ended <- s.Start(ctx) }()
	deadline := time.Now().Add(30 * time.Second)
	for s.StartedChecker()(request) != nil {
		if time.Now().After(deadline) {
			t.Fatal("the server does not start")
		}
		time.Sleep(10 * time.Millisecond)
	}
	return s
}

// certificateDir returns a directory with httptest's certificate.
func certificateDir(t *testing.T) string {
	t.Helper()
	certified := httptest.NewTLSServer(nil)
	defer certified.Close()
	c := certified.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, block := range map[string]*pem.Block{"tls.crt": {Type: "CERTIFICATE", Bytes: c.Certificate[0]}, "tls.key": {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func insecure() *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
}

// Regression test: controller-runtime cancels the context of the reviews in flight at SIGTERM, and their dry runs fail.
func TestReviewInFlightIsAnsweredAfterSigterm(t *testing.T) {
	arrived, canceled := make(chan struct{}), make(chan error, 1)
	s := startServer(t, func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		select {
		case <-r.Context().Done():
		case <-time.After(300 * time.Millisecond): // a dry run
		}
		canceled <- r.Context().Err()
	})
	answered := make(chan error, 1)
	go func() {
		response, err := insecure().Get("https://" + s.address) //nolint:noctx // the test's own server
		if err == nil {
			err = response.Body.Close()
		}
		answered <- err
	}()
	<-arrived
	s.term()
	if err := <-answered; err != nil {
		t.Errorf("the review was lost: %v", err)
	}
	if err := <-canceled; err != nil {
		t.Errorf("the review's context ended: %v", err)
	}
	if err := <-s.ended; err != nil {
		t.Errorf("the server ended with %v", err)
	}
}

func TestServerSpeaksNoHTTP2(t *testing.T) {
	s := startServer(t, func(http.ResponseWriter, *http.Request) {})
	dialer := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}}}
	conn, err := dialer.DialContext(t.Context(), "tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if got := conn.(*tls.Conn).ConnectionState().NegotiatedProtocol; got != "http/1.1" {
		t.Errorf("the server speaks %q", got)
	}
}

func TestServerNeedsACertificate(t *testing.T) {
	if err := NewServer(ServerOptions{CertDir: t.TempDir()}).Start(t.Context()); err == nil {
		t.Error("the server starts without a certificate")
	}
}
