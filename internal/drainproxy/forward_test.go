package drainproxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// received is a request as the app gets it.
type received struct {
	Method, URI, Host, Body string
	Header                  http.Header
	Trailer                 http.Header
}

func TestRequestsAndResponsesStayAsTheyAre(t *testing.T) {
	t.Parallel()
	for _, http2 := range []bool{false, true} {
		t.Run(map[bool]string{false: "HTTP/1", true: "HTTP/2"}[http2], func(t *testing.T) {
			t.Parallel()
			got := make(chan received, 1)
			var protocol atomic.Int64
			p := startPod(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				protocol.Store(int64(r.ProtoMajor))
				body, _ := io.ReadAll(r.Body)
				got <- received{Method: r.Method, URI: r.RequestURI, Host: r.Host, Body: string(body), Header: r.Header, Trailer: r.Trailer}
				w.Header().Set("Trailer", "Sum")
				w.Header().Set("Content-Encoding", "none")
				w.WriteHeader(http.StatusTeapot)
				_, _ = io.WriteString(w, "tea")
				w.Header().Set("Sum", "3")
			}), func(c *Config) { c.Ports[0].HTTP2 = http2 })
			for _, uri := range []string{"/", "/a%2Fb//c", "/?", "/?a=1;b=2&c=%zz", "//x"} {
				transport := &http.Transport{Protocols: &http.Protocols{}, DisableCompression: true}
				transport.Protocols.SetHTTP1(!http2)
				transport.Protocols.SetUnencryptedHTTP2(http2)
				request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, p.url+uri, io.MultiReader(strings.NewReader("body")))
				if err != nil {
					t.Fatal(err)
				}
				request.Host = "example.com"
				request.Header = http.Header{
					"X-Forwarded-For": {"192.0.2.1"}, "X-Forwarded-Proto": {"https"}, "Forwarded": {"for=192.0.2.1"}, "User-Agent": {""}, "Te": {"trailers"},
				}
				request.Trailer = http.Header{"Digest": {"4"}}
				response, err := transport.RoundTrip(request)
				if err != nil {
					t.Fatalf("%s: %v", uri, err)
				}
				body, err := io.ReadAll(response.Body)
				_ = response.Body.Close()
				if err != nil || response.StatusCode != http.StatusTeapot || string(body) != "tea" || response.Trailer.Get("Sum") != "3" {
					t.Errorf("%s: %s, %q, %v, trailer %v", uri, response.Status, body, err, response.Trailer)
				}
				want := received{
					Method: http.MethodPut, URI: uri, Host: "example.com", Body: "body", Trailer: http.Header{"Digest": {"4"}},
					Header: http.Header{
						"X-Forwarded-For": {"192.0.2.1, 127.0.0.1"}, "X-Forwarded-Proto": {"https"}, "Forwarded": {"for=192.0.2.1"}, "Te": {"trailers"},
					},
				}
				if diff := cmp.Diff(want, <-got); diff != "" {
					t.Errorf("%s: %s", uri, diff)
				}
				transport.CloseIdleConnections()
			}
			if want := map[bool]int64{false: 1, true: 2}[http2]; protocol.Load() != want {
				t.Errorf("the app gets HTTP/%d, want %d", protocol.Load(), want)
			}
		})
	}
}

// A client may send a request target that net/url would write in another way.
func TestTheRequestTargetStaysByteByByte(t *testing.T) {
	t.Parallel()
	targets := make(chan string, 1)
	p := startPod(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { targets <- r.Method + " " + r.RequestURI }))
	for _, target := range []string{"GET /a|b\"c^{d}?x=|^\"", "GET /%7e/%41", "GET //x/y", "OPTIONS *", "GET /?"} {
		c := p.raw(target + " HTTP/1.1\r\nHost: hello\r\nConnection: close\r\n\r\n")
		if response, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || response.StatusCode != http.StatusOK {
			t.Errorf("%s: %+v, %v", target, response, err)
			continue
		}
		select {
		case got := <-targets:
			if got != target {
				t.Errorf("the app gets %q, want %q", got, target)
			}
		default:
			t.Errorf("%s: the app has not answered", target)
		}
	}
}

// net/http adds headers to a response that has none.
func TestAResponseGetsNoHeader(t *testing.T) {
	t.Parallel()
	for _, header := range []http.Header{
		{"Content-Type": nil, "Date": nil}, {"Content-Type": {"text/x"}, "Date": {"Thu, 01 Jan 1970 00:00:00 GMT"}, "X-Two": {"a", "b"}, "Set-Cookie": {"a=1", "b=2"}},
	} {
		p := startPod(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			maps.Copy(w.Header(), header)
			_, _ = io.WriteString(w, "<html>")
		}))
		response, err := http.ReadResponse(bufio.NewReader(p.raw("GET / HTTP/1.1\r\nHost: hello\r\n\r\n")), nil)
		if err != nil {
			t.Fatal(err)
		}
		want := http.Header{"Content-Length": {"6"}}
		for name, values := range header {
			if values != nil {
				want[name] = values
			}
		}
		if diff := cmp.Diff(want, response.Header); diff != "" {
			t.Error(diff)
		}
	}
}

// A client of HTTP/1.0 takes the first response for the answer.
func TestAClientOfHTTP10GetsNoEarlyHints(t *testing.T) {
	t.Parallel()
	p := startPod(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = io.WriteString(w, "done")
	}))
	for protocol, want := range map[string]int{"HTTP/1.0": http.StatusOK, "HTTP/1.1": http.StatusEarlyHints} {
		response, err := http.ReadResponse(bufio.NewReader(p.raw("GET / "+protocol+"\r\nHost: a\r\n\r\n")), nil)
		if err != nil || response.StatusCode != want {
			t.Errorf("%s: %+v, %v, want %d first", protocol, response, err, want)
		}
	}
}

// A gRPC server has no limit by default, and net/http one of 250.
func TestManyRequestsOnAConnection(t *testing.T) {
	t.Parallel()
	const n = 300
	p := startPod(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), func(c *Config) { c.Ports[0].HTTP2 = true })
	transport := &http.Transport{Protocols: &http.Protocols{}, HTTP2: &http.HTTP2Config{StrictMaxConcurrentRequests: true}}
	transport.Protocols.SetUnencryptedHTTP2(true)
	ctx, end := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range n {
		group.Go(func() {
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
			if err != nil {
				return
			}
			if response, err := transport.RoundTrip(request); err == nil {
				_ = response.Body.Close()
			}
		})
	}
	p.awaitRequests(n)
	end()
	group.Wait()
}

func TestAnHTTP1ClientOfAnHTTP2Port(t *testing.T) {
	t.Parallel()
	p := startPod(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }), func(c *Config) {
		c.Ports[0].HTTP2 = true
	})
	if a := p.send(http.MethodGet, "/"); a.status != http.StatusBadGateway {
		t.Errorf("%+v, want 502: this app accepts HTTP/2 only", a)
	}
}

// A server that closes an idle connection may do so at the moment at which the proxy sends a POST on it, which is then lost. So the proxy closes first: Node
// does it after 5 s.
func TestTheProxyClosesIdleConnectionsFirst(t *testing.T) {
	t.Parallel()
	closed := make(chan error, 1)
	p := startPod(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		_, _ = rw.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		_ = rw.Flush()
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, err = rw.ReadByte()
		closed <- err
	}))
	if a := p.send(http.MethodPost, "/"); a.err != nil || a.status != http.StatusOK {
		t.Fatalf("%+v", a)
	}
	if err := <-closed; !errors.Is(err, io.EOF) {
		t.Errorf("the app's connection is still open after 5 s: %v", err)
	}
}
