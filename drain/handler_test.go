package drain

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestInformationalResponseKeepsTheConnection(t *testing.T) {
	d := New(silent)
	d.stop()
	srv := httptest.NewServer(d.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusOK)
	})))
	defer srv.Close()
	c := dialRaw(t, srv.Listener.Addr().String())
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: hello\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		status int
		close  bool
	}{{status: http.StatusEarlyHints}, {status: http.StatusOK, close: true}} {
		resp, err := http.ReadResponse(c.in, nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want.status || resp.Close != want.close {
			t.Errorf("status %d, close %v; want %+v", resp.StatusCode, resp.Close, want)
		}
	}
}

func TestResponseWriterKeepsWhatTheServerOffers(t *testing.T) {
	d := New(silent)
	d.stop()
	srv := httptest.NewServer(d.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/copy":
			if _, ok := w.(io.ReaderFrom); !ok {
				t.Error("no io.ReaderFrom: a file would be copied through the process")
			}
			_, _ = io.Copy(w, strings.NewReader("copied"))
		case "/flush":
			w.(http.Flusher).Flush()
		case "/hijack":
			c, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			_ = c.Close()
		}
	})))
	defer srv.Close()
	for _, path := range []string{"/copy", "/flush", "/hijack", "/nothing"} {
		resp, err := http.Get(srv.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK || !resp.Close {
			t.Errorf("%s: status %d, close %v; want 200, true", path, resp.StatusCode, resp.Close)
		}
	}
}

// With TLS the listener's connections are below those that net/http knows.
func TestTLSServerDrains(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		t.Run(map[bool]string{false: "HTTP/1", true: "HTTP/2"}[http2], func(t *testing.T) {
			certified := httptest.NewTLSServer(nil) // for its certificate
			defer certified.Close()
			client := certified.Client()
			client.Transport.(*http.Transport).ForceAttemptHTTP2 = http2
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			app := &testApp{drainer: New(Config{Shutdown: 10 * time.Second, Log: slog.New(slog.DiscardHandler)})}
			srv := app.httpServer()
			srv.TLSConfig = &tls.Config{Certificates: certified.TLS.Certificates}
			srv.Protocols.SetHTTP2(true)
			ctx, term := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- app.drainer.Serve(ctx, srv, l) }()
			get := func() (*http.Response, error) { return client.Get("https://" + l.Addr().String() + "/?seconds=0.5") }
			resp, err := get()
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if (resp.ProtoMajor == 2) != http2 {
				t.Fatalf("the connection speaks %s", resp.Proto)
			}
			slow := make(chan error, 1)
			go func() {
				resp, err := get()
				if err == nil {
					err = resp.Body.Close()
				}
				slow <- err
			}()
			for app.drainer.Stats().InFlight == 0 {
				runtime.Gosched()
			}
			term()
			if err := errors.Join(<-slow, <-ended); err != nil {
				t.Error(err)
			}
		})
	}
}
