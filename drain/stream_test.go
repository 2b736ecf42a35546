package drain

import (
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// Regression test: a stream that began before the drain and ended after SIGTERM could not tell its client to close the connection. The server closed it at
// once, and the client lost its next request (docs/failure-modes.md, D16).
func TestConnectionOfAStreamFromBeforeTheDrainGetsOneMoreRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess(t, tutorial)
		mux := http.NewServeMux()
		mux.Handle("/drain", p.drainer.PreStop())
		mux.HandleFunc("/ok", answerOK)
		mux.HandleFunc("/stream", func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).Flush()
			time.Sleep(10 * time.Second)
			_, _ = io.WriteString(w, "end")
		})
		p.serve(&http.Server{Handler: mux, ReadHeaderTimeout: readHeaderTimeout})
		goes, silent := p.open(), p.open()
		first, second := goes.begin(t, "/stream"), silent.begin(t, "/stream")
		p.get("/drain")
		p.term()
		for _, resp := range []*http.Response{first, second} {
			if body, err := io.ReadAll(resp.Body); string(body) != "end" || err != nil || resp.Close {
				t.Errorf("got %q, %v, close %v; want the end of the stream, and nothing that closes the connection", body, err, resp.Close)
			}
		}
		ended := time.Now()
		time.Sleep(firstRequestTicks * tick / 2)
		goes.ask(t, "/ok", true)
		silent.wantEnd(t, "no request followed")
		p.wantEnded()
		if took := time.Since(ended); took > (firstRequestTicks+1)*tick {
			t.Errorf("ended %s after the streams, want at most %s", took, (firstRequestTicks+1)*tick)
		}
	})
}

// begin sends a request and reads the header of the response.
func (c rawConn) begin(t *testing.T, path string) *http.Response {
	t.Helper()
	if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: hello\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}
