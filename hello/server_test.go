package main

import (
	"context"
	"encoding/json"
	"net/http"
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
