package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// streamInterval is between two lines of a stream: often enough to see where one was cut.
const streamInterval = 100 * time.Millisecond

// handleWork takes a body too, as a form or an upload would send it.
func (s *server) handleWork(w http.ResponseWriter, r *http.Request) {
	if d, ok := s.duration(w, r); ok {
		s.work(w, r, d)
	}
}

// duration is how long the request shall take; false: it was refused.
func (s *server) duration(w http.ResponseWriter, r *http.Request) (time.Duration, bool) {
	q := r.URL.Query()
	if !q.Has("seconds") {
		return s.settings.request, true
	}
	d, err := parseSeconds(q.Get("seconds"), maxSeconds)
	if err != nil {
		http.Error(w, fmt.Sprintf("seconds=%q: %v", q.Get("seconds"), err), http.StatusBadRequest)
	}
	return d, err == nil
}

// work reads the body and holds the request for a while, as a slow database or a long computation would.
func (s *server) work(w http.ResponseWriter, r *http.Request, d time.Duration) {
	s.count(func() bool {
		text := fmt.Sprintf("hello after %s", d)
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			return false
		}
		if r.ContentLength != 0 {
			text += fmt.Sprintf(", %d bytes read", n)
		}
		if !wait(r.Context(), d) {
			return false
		}
		s.sayPod(w)
		answer(w, text)
		return true
	})
}

// handleStream answers bit by bit. Its header is out before a drain may begin, so it cannot say `Connection: close`; what its connection
// carries afterwards can.
func (s *server) handleStream(w http.ResponseWriter, r *http.Request) {
	d, ok := s.duration(w, r)
	if !ok {
		return
	}
	s.count(func() bool {
		s.sayPod(w)
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		out := http.NewResponseController(w)
		began := time.Now()
		for n, next := 1, time.Duration(0); next < d; n++ {
			answer(w, fmt.Sprintf("line %d", n))
			next += streamInterval
			if err := out.Flush(); err != nil || !wait(r.Context(), time.Until(began.Add(min(d, next)))) {
				return false
			}
		}
		answer(w, "end")
		return true
	})
}

// count counts a request by whether its client stayed to the end.
func (s *server) count(serve func() bool) {
	s.inFlight.Add(1)
	defer s.inFlight.Add(-1)
	if serve() {
		s.served.Add(1)
	} else {
		s.cancelled.Add(1)
	}
}

// sayPod names the pod in the header, not in the body: ab takes a body of another length for a failure, and pod names differ in length
// from one rollout to the next.
func (s *server) sayPod(w http.ResponseWriter) { w.Header().Set("X-Served-By", s.hostname) }

func answer(w http.ResponseWriter, text string) { _, _ = fmt.Fprintln(w, text) }

// wait reports whether d passed before ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
