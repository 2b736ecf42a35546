package drainproxy

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"
)

// A response that the app sends at once needs one write. A recorder shows whether the proxy has flushed it in between.
func TestACompleteResponseIsNotFlushedInParts(t *testing.T) {
	t.Parallel()
	p := startPod(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	forward := p.proxy.forward(p.app.address, p.proxy.transports[0])
	const attempts = 100 // a process without CPU time may take longer than flushInterval
	for range attempts {
		w := httptest.NewRecorder()
		forward.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
		if w.Code != http.StatusOK || w.Body.String() != "hello" {
			t.Fatalf("%d, %q", w.Code, w.Body)
		}
		if !w.Flushed {
			return
		}
	}
	t.Errorf("each of %d responses was flushed before its end", attempts)
}

// A slow response goes to the client as it comes, first its header. The app sends each part after the client has read the one before.
func TestASlowResponseComesInParts(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]http.Header{
		"with a length":      {"Content-Length": {strconv.Itoa(len("onetwo"))}},
		"without a length":   {},
		"server-sent events": {"Content-Type": {"text/event-stream"}},
	} {
		for _, http2 := range []bool{false, true} {
			t.Run(name+map[bool]string{false: ", HTTP/1", true: ", HTTP/2"}[http2], func(t *testing.T) {
				t.Parallel()
				read := make(chan struct{})
				await := func(r *http.Request) {
					select {
					case <-read:
					case <-r.Context().Done():
					}
				}
				p := startPod(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					maps.Copy(w.Header(), header)
					for _, part := range []string{"", "one", "two"} {
						_, _ = io.WriteString(w, part)
						_ = http.NewResponseController(w).Flush()
						await(r)
					}
				}), func(c *Config) { c.Ports[0].HTTP2 = http2 })
				readParts(t, p, http2, read)
			})
		}
	}
}

// partTimeout is much longer than a part takes on a busy machine.
const partTimeout = 20 * time.Second

func readParts(t *testing.T, p *pod, http2 bool, read chan<- struct{}) {
	t.Helper()
	transport := &http.Transport{Protocols: &http.Protocols{}}
	transport.Protocols.SetHTTP1(!http2)
	transport.Protocols.SetUnencryptedHTTP2(http2)
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), partTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	read <- struct{}{}
	for _, want := range []string{"one", "two"} {
		part := make([]byte, len(want))
		if _, err := io.ReadFull(response.Body, part); err != nil || string(part) != want {
			t.Fatalf("%q, %v, want %q", part, err, want)
		}
		read <- struct{}{}
	}
}
