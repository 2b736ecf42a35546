package drain

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// serveTCP serves on a port of the loopback interface until the test ends and returns the address.
func serveTCP(t *testing.T, srv *http.Server, wrap func(net.Listener) net.Listener) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv.ReadHeaderTimeout = readHeaderTimeout
	c := silent
	c.Request = c.Shutdown // accepts no late connections
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- New(c).Serve(ctx, srv, wrap(l)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func unchanged(l net.Listener) net.Listener { return l }

// net/http sends the end of such a response by CloseWrite. Without it, the client gets a reset instead of the end.
func TestUnreadBodyDoesNotResetTheResponse(t *testing.T) {
	c := dialRaw(t, serveTCP(t, &http.Server{Handler: http.HandlerFunc(answerOK)}, unchanged))
	header := "POST / HTTP/1.1\r\nHost: hello\r\nContent-Length: 1000000000\r\n\r\n"
	if _, err := io.WriteString(c, header+strings.Repeat("x", 64<<10)); err != nil {
		t.Fatal(err)
	}
	c.wantAnswer(t, "without the body", true)
	c.wantEnd(t, "after the response")
}

// typedListener accepts connections of a type of its own.
type typedListener struct{ net.Listener }

type typedConn struct {
	net.Conn
	files chan struct{} // an element for each call of ReadFrom
}

func (l typedListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	return &typedConn{Conn: nc, files: make(chan struct{}, 100)}, err
}

func (c *typedConn) ReadFrom(r io.Reader) (int64, error) {
	c.files <- struct{}{}
	return io.Copy(c.Conn, r)
}

func TestFileIsNotCopiedThroughTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	served := make(chan *typedConn, 1)
	srv := &http.Server{
		ConnContext: func(ctx context.Context, nc net.Conn) context.Context {
			served <- nc.(*typedConn)
			return ctx
		},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, path) }),
	}
	address := serveTCP(t, srv, func(l net.Listener) net.Listener { return typedListener{l} })
	resp, err := http.Get("http://" + address)
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	n, err := io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if n != 1<<20 || err != nil {
		t.Errorf("got %d bytes, %v", n, err)
	}
	if c := <-served; len(c.files) == 0 {
		t.Error("the connection's ReadFrom was not called")
	}
}

func TestAppSeesTheConnectionsOfItsListener(t *testing.T) {
	types := make(chan bool, 10)
	check := func(nc net.Conn) {
		_, ok := nc.(*net.TCPConn)
		types <- ok
	}
	srv := &http.Server{
		ConnState: func(nc net.Conn, _ http.ConnState) { check(nc) },
		ConnContext: func(ctx context.Context, nc net.Conn) context.Context {
			check(nc)
			return ctx
		},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			nc, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			check(nc)
			_ = nc.Close()
		}),
	}
	c := dialRaw(t, serveTCP(t, srv, unchanged))
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: hello\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	c.wantEnd(t, "hijacked")
	for range 5 { // ConnContext, new, active, hijacked, Hijack
		if !<-types {
			t.Error("got a connection of another type")
		}
	}
}

func TestListenerThatDoesTLS(t *testing.T) {
	certified := httptest.NewTLSServer(nil) // for its certificate
	defer certified.Close()
	client := certified.Client()
	client.Transport.(*http.Transport).ForceAttemptHTTP2 = true
	defer client.CloseIdleConnections()
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil {
			t.Error("the request has no TLS state")
		}
	})}
	address := serveTCP(t, srv, func(l net.Listener) net.Listener {
		return tls.NewListener(l, &tls.Config{Certificates: certified.TLS.Certificates, NextProtos: []string{"h2", "http/1.1"}})
	})
	resp, err := client.Get("https://" + address)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.ProtoMajor != 2 {
		t.Errorf("the connection speaks %s", resp.Proto)
	}
}

func TestEmptyTLSConfigIsNoTLS(t *testing.T) {
	address := serveTCP(t, &http.Server{Handler: http.NotFoundHandler(), TLSConfig: &tls.Config{}}, unchanged)
	c := dialRaw(t, address)
	if _, err := io.WriteString(c, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != http.StatusNotFound {
		t.Errorf("got %v", err)
	}
}
