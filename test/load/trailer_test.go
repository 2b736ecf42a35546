package load

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// post returns a target that sends a POST with 100 Continue and a trailer.
func post(url string, mode Mode) Target {
	return Target{URL: url, Mode: mode, Method: http.MethodPost, Body: 2048, Expect: true, Trailers: true}
}

func TestExpectAndTrailersReachTheServer(t *testing.T) {
	for _, mode := range []Mode{KeepAlive, H2C} {
		t.Run(string(mode), func(t *testing.T) {
			var continued atomic.Int64
			handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Expect") == "100-continue" {
					continued.Add(1)
				}
				n, _ := io.Copy(io.Discard, r.Body)
				if n != 2048 || r.Trailer.Get(TrailerName) == "" {
					http.Error(w, "no body or no trailer", http.StatusBadRequest)
				}
				w.Header().Set(http.TrailerPrefix+TrailerName, r.Trailer.Get(TrailerName))
			})
			server := httptest.NewUnstartedServer(handler)
			server.Config.Protocols = &http.Protocols{}
			server.Config.Protocols.SetHTTP1(mode == KeepAlive)
			server.Config.Protocols.SetUnencryptedHTTP2(mode == H2C)
			server.Start()
			defer server.Close()
			for _, r := range run(t, post(server.URL, mode), 20) {
				if r.Outcome != Answered {
					t.Errorf("%+v, want it answered", r)
				}
			}
			if mode == KeepAlive && continued.Load() < 20 { // in HTTP/2 the server removes the header
				t.Errorf("%d requests waited for 100 Continue", continued.Load())
			}
		})
	}
}

// A proxy that drops the trailer of a response truncates it.
func TestAResponseWithoutItsTrailerIsLost(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	defer server.Close()
	for _, r := range run(t, post(server.URL, KeepAlive), 5) {
		if r.Outcome != Lost || r.Class != Truncated {
			t.Errorf("%+v, want it lost", r)
		}
	}
}
