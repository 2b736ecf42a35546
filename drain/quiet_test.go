package drain

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// Regression test: a proxy that hears of the deletion later than t2 sends connections to a pod whose listener is closed. A demo lost 1 of 27,922.
func TestServerAcceptsUntilNoNewConnectionBringsARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := tutorial
		set.Request = 5 * time.Second
		p := start(t, set)
		p.get("/livez")
		hook := p.goGet("/drain")
		<-hook
		termed := time.Now()
		p.term()
		var last time.Time
		for range 6 { // a proxy that is 6 s late, with a request each second
			p.get("/?seconds=0").check(t, "after SIGTERM", http.StatusOK, true)
			p.get("/readyz").check(t, "still ready", http.StatusOK, true)
			last = time.Now()
			time.Sleep(time.Second)
		}
		p.wantEnded()
		if took, want := time.Since(termed), last.Add(quiet).Sub(termed); took < want || took > want+2*tick {
			t.Errorf("ended %s after SIGTERM, want %s: 2 s after the last new connection", took, want)
		}
		if got := p.drainer.Stats().Late; got != 12 {
			t.Errorf("%d late connections, want 12", got)
		}
	})
}

func TestServerAcceptsNoLongerThanTheLongestRequestAllows(t *testing.T) {
	for _, tc := range []struct {
		name    string
		request time.Duration
		want    time.Duration
	}{
		{name: "t1 - R", request: 15 * time.Second, want: 5 * time.Second},
		{name: "half of t1 if R is unknown", want: 10 * time.Second},
		{name: "nothing if R is t1", request: 20 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				set := tutorial
				set.Request = tc.request
				p := start(t, set)
				p.get("/livez")
				p.term()
				termed := time.Now()
				synctest.Wait()
				for !isClosed(p.drainer.servers[0].closed) { // a client that never stops; the last dial may be refused
					p.get("/livez")
					time.Sleep(tick / 3)
				}
				if took := time.Since(termed); took < tc.want || took > tc.want+tick {
					t.Errorf("accepted for %s, want %s", took, tc.want)
				}
				p.wantEnded()
			})
		})
	}
}

func TestProbesAndConnectionsWithoutARequestAreNotLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, tutorial)
		p.get("/livez")
		time.Sleep(time.Minute)
		p.term()
		termed := time.Now()
		synctest.Wait()
		for !isClosed(p.drainer.servers[0].closed) {
			_ = p.open()
			req := p.request(t.Context(), http.MethodGet, "/livez", nil)
			req.Header.Set("User-Agent", "kube-probe/1.37")
			p.do(req).check(t, "probe", http.StatusOK, true)
			time.Sleep(tick / 3) // not at the moment of a tick
		}
		if took := time.Since(termed); took > quiet+tick {
			t.Errorf("accepted for %s, want %s", took, quiet)
		}
		p.wantEnded()
		if got := p.drainer.Stats().Late; got != 0 {
			t.Errorf("%d late connections, want none", got)
		}
	})
}

// Regression test: a server without a request in the last 2 s closed its listener 0.2 s after SIGTERM, and refused the first connection of a late proxy.
func TestIdleServerAcceptsForTwoSecondsAfterTheSignal(t *testing.T) {
	for name, tc := range map[string]struct {
		late bool
		want time.Duration
	}{
		"no connection":   {want: quiet},
		"late connection": {late: true, want: 2 * quiet},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := start(t, tutorial)
				p.get("/livez")
				p.client.CloseIdleConnections()
				time.Sleep(time.Minute)
				termed := time.Now()
				p.term()
				if tc.late {
					time.Sleep(quiet - tick/2)
					p.get("/livez").check(t, "late", http.StatusOK, true)
				}
				p.wantEnded()
				if took := time.Since(termed); took != tc.want {
					t.Errorf("ended %s after SIGTERM, want %s", took, tc.want)
				}
			})
		})
	}
}

func TestServerIsQuietForTheWholeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := New(silent)
		last := time.Now().Add(2*tick - 1) // just before a tick
		time.AfterFunc(time.Until(last), func() { d.late.Add(1) })
		d.awaitQuiet(t.Context(), time.Now().Add(time.Minute))
		if took := time.Since(last); took < quiet {
			t.Errorf("returned %s after the last request, want %s", took, quiet)
		}
	})
}
