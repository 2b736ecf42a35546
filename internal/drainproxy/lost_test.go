package drainproxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestARequestBeyondT1IsReported(t *testing.T) {
	t.Parallel()
	p := startPod(t, slow)
	cut := p.sendLater(http.MethodGet, "/20s")
	p.awaitRequests(1)
	<-p.hook("/leaving")
	<-p.hook("/drain")
	p.app.exit()
	<-cut
	p.awaitRequests(0)
	p.stop()
	if err := <-p.ended; err == nil || !strings.Contains(err.Error(), "drained") || !strings.Contains(err.Error(), "without a complete response: 1;") {
		t.Errorf("%v, want an error that counts the request", err)
	}
}

// TestWhatIsLost: only a request without a complete response after the deletion is lost. The app cuts each response, and leaves HTTP at /upgrade.
func TestWhatIsLost(t *testing.T) {
	t.Parallel()
	cuts := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		if r.URL.Path != "/upgrade" {
			_, _ = rw.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
			_ = rw.Flush()
			return
		}
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_ = rw.Flush()
		_, _ = io.Copy(c, rw)
	})
	for _, tt := range []struct {
		name string
		send func(p *pod)
		want int
	}{
		{name: "a response that is cut before the deletion", send: func(p *pod) { p.send(http.MethodGet, "/"); p.leave() }},
		{name: "a response that is cut after the deletion", send: func(p *pod) { p.leave(); p.send(http.MethodGet, "/") }, want: 1},
		{name: "an upgraded connection", send: func(p *pod) {
			c, err := (&net.Dialer{}).DialContext(p.t.Context(), "tcp", strings.TrimPrefix(p.url, "http://"))
			if err != nil {
				p.t.Fatal(err)
			}
			p.t.Cleanup(func() { _ = c.Close() })
			_, _ = fmt.Fprint(c, "GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			if response, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || response.StatusCode != http.StatusSwitchingProtocols {
				p.t.Fatalf("%+v, %v", response, err)
			}
			p.leave()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := startPod(t, cuts)
			tt.send(p)
			if got := p.proxy.gate.lostRequests(); got != tt.want {
				t.Errorf("%d lost requests, want %d", got, tt.want)
			}
			p.stop()
			if err := <-p.ended; (err != nil) != (tt.want > 0) {
				t.Errorf("the proxy ends with %v", err)
			}
		})
	}
}

// leave deletes the pod.
func (p *pod) leave() { <-p.hook("/leaving") }
