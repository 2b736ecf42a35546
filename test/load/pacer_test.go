package load

import (
	"testing"
	"time"
)

// vegeta calls Pace after each request. Its own Stop may be delayed by requests that are due.
func TestStopEndsThePace(t *testing.T) {
	s := newHTTPSender(Target{Name: "slow", URL: "http://127.0.0.1:1/", Mode: NewConnection, Rate: 0.1, MaxInFlight: 1})
	if wait, stop := s.pacer.Pace(0, 1); stop || wait != 10*time.Second {
		t.Errorf("wait %s, stop %v; want 10s to the next request", wait, stop)
	}
	s.stop()
	if _, stop := s.pacer.Pace(10*time.Second, 1); !stop {
		t.Error("the pacer goes on after the stop")
	}
}
