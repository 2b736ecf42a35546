package drainproxy

import (
	"errors"
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
	if err := <-p.ended; !errors.Is(err, ErrRequestsLost) || !strings.Contains(err.Error(), "drained") || !strings.Contains(err.Error(), "without a complete response: 1;") {
		t.Errorf("%v, want an error that counts the request", err)
	}
}

// TestWhatIsLost: only a request without a complete response after the deletion is lost. The app cuts each response in HTTP.
func TestWhatIsLost(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		send func(p *pod)
		want int
	}{
		{name: "a response that is cut before the deletion", send: func(p *pod) { p.send(http.MethodGet, "/"); p.leave() }},
		{name: "a response that is cut after the deletion", send: func(p *pod) { p.leave(); p.send(http.MethodGet, "/") }, want: 1},
		{name: "an upgraded connection", send: func(p *pod) { p.upgrade(); p.leave() }},
		{name: "a request that waits, with Connection: Upgrade and nothing to upgrade to", send: func(p *pod) {
			p.app.exit()
			p.raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\r\n")
			p.awaitHeld(1)
			p.leave()
		}, want: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := startPod(t, echo)
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
