package drain

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// tutorialGrace is the derived t3 of the tutorial's settings: t1 + t2 + 5 s.
const tutorialGrace = 30 * time.Second

func TestEachCallOfTheHookHoldsForAllOfPreStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, tutorial)
		p.get("/livez")
		first := p.goGet("/drain")
		time.Sleep(2 * time.Second)
		second := p.goGet("/drain")
		for step, got := range map[string]reply{"first call": <-first, "call during the first": <-second, "call after it": p.get("/drain")} {
			got.check(t, step, http.StatusOK, true)
			if got.took != tutorial.PreStop {
				t.Errorf("%s took %s, want t2 = %s", step, got.took, tutorial.PreStop)
			}
		}
		if n := strings.Count(p.log.String(), `"msg":"draining"`); n != 1 {
			t.Errorf("%d drains logged, want 1", n)
		}
		p.end()
	})
}

func TestBeginIsAHookThatReturnsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, tutorial)
		asked := p.openHTTP2()
		asked.wantAnswer("before the drain", asked.ask("/livez"))
		called := time.Now()
		p.drainer.Begin()
		if took := time.Since(called); took != 0 || p.drainer.State() != Draining {
			t.Errorf("Begin took %s, and the state is %s", took, p.drainer.State())
		}
		asked.wantGoAway("in the drain", maxStream)
		p.get("/livez").check(t, "in the drain", http.StatusOK, true)
		if err := asked.conn.Close(); err != nil {
			t.Error(err)
		}
		p.end()
	})
}

func TestDrainThatNoSignalFollowsEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, tutorial)
		p.get("/livez")
		idle, asked := p.open(), p.openHTTP2()
		idle.ask(t, "/livez", false)
		asked.wantAnswer("before the drain", asked.ask("/livez"))
		called := time.Now()
		p.get("/drain").check(t, "another client's call", http.StatusOK, true)
		asked.wantGoAway("in the drain", maxStream)
		time.Sleep(time.Until(called.Add(tutorialGrace - time.Millisecond)))
		p.get("/livez").check(t, "as long as the pod may be terminating", http.StatusOK, true)

		time.Sleep(time.Millisecond)
		if got := p.get("/readyz"); got.close || got.body != "serving" {
			t.Errorf("after t3: state %q, close %v; want serving, close false", got.body, got.close)
		}
		idle.ask(t, "/livez", false)
		late := p.openHTTP2()
		late.wantAnswer("HTTP/2 gets no GOAWAY", late.ask("/livez"))
		late.wantNothing("after t3")

		for step, c := range map[string]io.Closer{"idle": idle, "asked": asked.conn, "late": late.conn} {
			if err := c.Close(); err != nil {
				t.Errorf("%s: %v", step, err)
			}
		}
		p.end()
	})
}

func TestEachCallProlongsTheDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, tutorial)
		p.get("/drain")
		time.Sleep(tutorialGrace - tutorial.PreStop - time.Millisecond)
		second := p.goGet("/drain") // just before the end of the first one's drain
		time.Sleep(tutorialGrace - time.Millisecond)
		p.get("/livez").check(t, "almost t3 after the second call", http.StatusOK, true)
		time.Sleep(time.Millisecond)
		p.get("/livez").check(t, "t3 after the second call", http.StatusOK, false)
		<-second
		p.end()
	})
}

func TestDrainLastsAsLongAsTheGracePeriod(t *testing.T) {
	for _, tc := range []struct {
		name string
		set  Config
		want time.Duration
	}{
		{name: "t3", set: Config{Shutdown: 20 * time.Second, PreStop: 5 * time.Second, TerminationGracePeriod: time.Minute}, want: time.Minute},
		{name: "no t3", set: Config{Shutdown: 20 * time.Second, PreStop: 5 * time.Second}, want: tutorialGrace},
		{name: "a t3 that is shorter than t2", set: Config{PreStop: 5 * time.Second, TerminationGracePeriod: time.Second}, want: 5 * time.Second},
	} {
		if got := tc.set.drainDuration(); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}

// Regression test: a scale-down lost 46 of 901 requests because another client had called the hook before.
func TestHookAfterAnotherClientsCallDrainsUntilTheSignal(t *testing.T) {
	for name, pause := range map[string]time.Duration{"soon": time.Second, "after the drain has ended": time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := start(t, tutorial)
				p.get("/drain")
				time.Sleep(pause)
				hook := p.goGet("/drain")
				time.Sleep(tutorial.PreStop - time.Millisecond)
				slow := p.goGet("/?seconds=1")
				p.get("/livez").check(t, "during the hook", http.StatusOK, true)
				if got := <-hook; got.status != http.StatusOK || got.took != tutorial.PreStop {
					t.Errorf("hook: status %d after %s, want 200 after t2 = %s", got.status, got.took, tutorial.PreStop)
				}
				p.term()
				(<-slow).check(t, "in flight at SIGTERM", http.StatusOK, true)
				p.wantEnded()
			})
		})
	}
}

func TestEveryResponseClosesItsConnectionWhileDraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, tutorial)
		p.get("/livez").check(t, "before the drain", http.StatusOK, false)
		before := p.goGet("/?seconds=1")
		synctest.Wait()
		drained := p.goGet("/drain")
		synctest.Wait()
		for path, status := range map[string]int{"/?seconds=0": 200, "/empty": 200, "/livez": 200, "/readyz": 200, "/nowhere": 404,
			"/?seconds=x": 400} {
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
		time.Sleep(tutorial.PreStop - time.Millisecond)
		early.ask(t, "/livez", true)
		<-drained
		early.wantEnd(t, "told to close")
		p.client.CloseIdleConnections()
		p.term()
		termed := time.Now()
		late.wantEnd(t, "idle through the whole drain")
		p.wantEnded()
		if took := time.Since(termed); took != quiet {
			t.Errorf("ended %s after SIGTERM, want %s: no wait for the idle connection", took, quiet)
		}
	})
}
