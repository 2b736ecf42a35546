package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var tutorial = settings{startup: 25 * time.Second, request: 5 * time.Second, sleep: 3 * time.Second,
	preStop: 5 * time.Second, shutdown: 20 * time.Second}

func TestListensOnlyAfterItsStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, tutorial)
		p.get("/livez").check(t, "first answer", http.StatusOK, false)
		if took := p.listenedAt.Sub(p.began); took != 25*time.Second {
			t.Errorf("listened after %s, want 25s", took)
		}
		p.end()
	})
}

func TestPaths(t *testing.T) {
	for _, tc := range []struct {
		name, path string
		wantStatus int
		wantTook   time.Duration
	}{
		{"works as long as declared", "/", 200, 5 * time.Second},
		{"works as long as asked", "/?seconds=0.5", 200, 500 * time.Millisecond},
		{"answers at once when asked to", "/?seconds=0", 200, 0},
		{"refuses a bad length", "/?seconds=long", 400, 0},
		{"refuses an empty length", "/?seconds=", 400, 0},
		{"refuses a length of more than a day", "/?seconds=86401", 400, 0},
		{"sleeps", "/sleep", 200, 3 * time.Second},
		{"is alive", "/livez", 200, 0},
		{"is ready", "/readyz", 200, 0},
		{"knows no other path", "/healthz", 404, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				set := tutorial
				set.startup = 0
				p := start(t, set)
				got := p.get(tc.path)
				got.check(t, tc.path, tc.wantStatus, false)
				if got.took != tc.wantTook {
					t.Errorf("took %s, want %s", got.took, tc.wantTook)
				}
				p.end()
			})
		})
	}
}

func TestStatusCountsRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, tutorial)
		p.get("/?seconds=0")
		slow := p.goGet("/")
		ctx, cancel := context.WithCancel(context.Background())
		gone := make(chan reply, 1)
		go func() { gone <- p.getWith(ctx, "/") }()
		synctest.Wait()
		cancel()
		<-gone
		synctest.Wait()

		var status struct {
			State, Version              string
			PID                         int
			InFlight, Served, Cancelled int
		}
		if err := json.Unmarshal([]byte(p.get("/status").body), &status); err != nil {
			t.Fatal(err)
		}
		if status.State != "serving" || status.InFlight != 1 || status.Served != 1 || status.Cancelled != 1 || status.PID == 0 {
			t.Errorf("status %+v, want serving with one request each in flight, served, cancelled", status)
		}
		(<-slow).check(t, "slow request", http.StatusOK, false)
		p.end()
	})
}

func TestDrainHoldsForPreStopAndHappensOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, tutorial)
		p.get("/livez")
		first := p.goGet("/drain")
		time.Sleep(2 * time.Second)
		second := p.goGet("/drain")
		a, b := <-first, <-second
		a.check(t, "first call", http.StatusOK, true)
		b.check(t, "second call", http.StatusOK, true)
		if a.took != 5*time.Second || b.took != 3*time.Second {
			t.Errorf("calls took %s and %s, want 5s and the remaining 3s", a.took, b.took)
		}
		if third := p.get("/drain"); third.took != 0 || third.status != http.StatusOK {
			t.Errorf("a call after the drain took %s with status %d, want 200 at once", third.took, third.status)
		}
		if n := strings.Count(p.log.String(), `"msg":"draining"`); n != 1 {
			t.Errorf("%d drains logged, want 1", n)
		}
		p.end()
	})
}

func TestWhileDrainingEveryAnswerSaysClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, tutorial)
		p.get("/livez").check(t, "before the drain", http.StatusOK, false)
		before := p.goGet("/?seconds=1")
		synctest.Wait()
		drained := p.goGet("/drain")
		synctest.Wait()
		for path, status := range map[string]int{"/?seconds=0": 200, "/status": 200, "/livez": 200, "/readyz": 200, "/nowhere": 404,
			"/?seconds=x": 400, "/sleep": 200} {
			p.get(path).check(t, path, status, true)
		}
		(<-before).check(t, "request from before the drain", http.StatusOK, true)
		<-drained
		p.get("/readyz").check(t, "ready after the drain", http.StatusOK, true)
		p.end()
	})
}

func TestIdleConnectionDuringDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, tutorial)
		early, late := p.open(), p.open()
		early.ask(t, "/livez", false)
		late.ask(t, "/livez", false)
		drained := p.goGet("/drain")
		time.Sleep(tutorial.preStop - time.Millisecond)
		early.ask(t, "/livez", true)
		<-drained
		late.wantEnd(t, "idle through the whole drain")
		early.wantEnd(t, "told to close")
		p.end()
	})
}
