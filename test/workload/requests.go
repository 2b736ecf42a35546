package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// streamInterval is the time between two lines of a stream. The last line that the client got shows when the stream was cut.
const streamInterval = 100 * time.Millisecond

// handleWork answers / after the requested time. It also reads a body, as of a form or an upload.
func (s *server) handleWork(w http.ResponseWriter, r *http.Request) {
	if d, ok := s.duration(w, r); ok {
		s.work(w, r, d)
	}
}

// duration returns how long the request takes. It returns false if it has rejected the request.
func (s *server) duration(w http.ResponseWriter, r *http.Request) (time.Duration, bool) {
	q := r.URL.Query()
	if !q.Has("seconds") {
		return s.settings.request, true
	}
	d, err := parseSeconds(q.Get("seconds"))
	if err != nil {
		http.Error(w, fmt.Sprintf("seconds=%q: %v", q.Get("seconds"), err), http.StatusBadRequest)
	}
	return d, err == nil
}

// work reads the body and waits for d before it answers, as with a slow database or a long computation.
func (s *server) work(w http.ResponseWriter, r *http.Request, d time.Duration) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil || !wait(r.Context(), d) {
		return // the client has disconnected
	}
	text := fmt.Sprintf("hello after %s", d)
	if r.ContentLength != 0 {
		text += fmt.Sprintf(", %d bytes read", n)
	}
	s.setServedBy(w)
	setTrailer(w, r)
	answer(w, text)
}

// setTrailer sends the request's trailer, which net/http fills when the body has been read, back as the response's.
func setTrailer(w http.ResponseWriter, r *http.Request) {
	for name, values := range r.Trailer {
		w.Header()[http.TrailerPrefix+name] = values
	}
}

// handleStream writes its response line by line. If a drain begins after the header, this response cannot have `Connection: close`; the next
// response on the connection has it.
func (s *server) handleStream(w http.ResponseWriter, r *http.Request) {
	d, ok := s.duration(w, r)
	if !ok {
		return
	}
	s.setServedBy(w)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	out := http.NewResponseController(w)
	began := time.Now()
	for n, next := 1, time.Duration(0); next < d; n++ {
		answer(w, fmt.Sprintf("line %d", n))
		next += streamInterval
		if err := out.Flush(); err != nil || !wait(r.Context(), time.Until(began.Add(min(d, next)))) {
			return // the client has disconnected
		}
	}
	answer(w, "end")
}

// setServedBy names the pod in the header, not in the body: ab counts a body of another length as a failure, and the length of pod names
// differs between rollouts.
func (s *server) setServedBy(w http.ResponseWriter) { w.Header().Set("X-Served-By", s.hostname) }

func answer(w http.ResponseWriter, text string) { _, _ = fmt.Fprintln(w, text) }

// wait reports whether d passed before ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
