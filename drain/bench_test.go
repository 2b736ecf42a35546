package drain

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func answerOK(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }

// BenchmarkHandler measures what the wrapper alone costs per request.
func BenchmarkHandler(b *testing.B) {
	d := New(silent)
	for name, h := range map[string]http.Handler{"plain": http.HandlerFunc(answerOK), "drain": d.Handler(http.HandlerFunc(answerOK))} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(discardWriter{}, r)
			}
		})
	}
}

type discardWriter struct{}

func (discardWriter) Header() http.Header         { return http.Header{} }
func (discardWriter) Write(p []byte) (int, error) { return len(p), nil }
func (discardWriter) WriteHeader(int)             {}

// BenchmarkServe measures a request on a keep-alive connection over loopback, with http.Server.Serve and with Drainer.Serve.
func BenchmarkServe(b *testing.B) {
	for _, tc := range []struct {
		name  string
		serve func(srv *http.Server, l net.Listener) error
	}{
		{name: "plain", serve: func(srv *http.Server, l net.Listener) error { return srv.Serve(l) }},
		{name: "drain", serve: func(srv *http.Server, l net.Listener) error { return New(silent).Serve(b.Context(), srv, l) }},
	} {
		b.Run(tc.name, func(b *testing.B) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			srv := &http.Server{Handler: http.HandlerFunc(answerOK), ReadHeaderTimeout: time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelWarn)}
			go func() { _ = tc.serve(srv, l) }()
			defer func() { _ = srv.Close() }()
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			b.ReportAllocs()
			for b.Loop() {
				resp, err := client.Get("http://" + l.Addr().String())
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		})
	}
}
