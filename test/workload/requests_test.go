package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// line is a line of a stream, with the time at which it came.
type line struct {
	text string
	at   time.Duration
}

// stream requests a stream and returns its lines as they come. The channel is closed when the response ends, complete or not.
func (p *process) stream(ctx context.Context, path string) <-chan line {
	lines := make(chan line, 1000)
	go func() {
		defer close(lines)
		began := time.Now()
		resp, err := p.client.Do(p.request(ctx, http.MethodGet, path, nil))
		if err != nil {
			return
		}
		defer func() { _ = resp.Body.Close() }()
		for in := bufio.NewScanner(resp.Body); in.Scan(); {
			lines <- line{in.Text(), time.Since(began)}
		}
	}()
	return lines
}

func TestStream(t *testing.T) {
	const ms = time.Millisecond
	for _, tc := range []struct {
		name, path string
		want       []line
	}{
		{name: "writes a line each 100 ms, at once", path: "/stream?seconds=0.3",
			want: []line{{"line 1", 0}, {"line 2", 100 * ms}, {"line 3", 200 * ms}, {"end", 300 * ms}}},
		{name: "ends when it was asked to", path: "/stream?seconds=0.25", want: []line{{"line 1", 0}, {"line 2", 100 * ms}, {"line 3", 200 * ms}, {"end", 250 * ms}}},
		{name: "may be as short as its end", path: "/stream?seconds=0", want: []line{{"end", 0}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := start(t, tutorial)
				p.get("/livez")
				var got []line
				for l := range p.stream(t.Context(), tc.path) {
					got = append(got, l)
				}
				if !slices.Equal(got, tc.want) {
					t.Errorf("got %v, want %v", got, tc.want)
				}
				p.end()
			})
		})
	}
}

func TestStreamTakesAsLongAsARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, tutorial)
		p.get("/livez")
		var last line
		for last = range p.stream(t.Context(), "/stream") {
		}
		if want := (line{"end", tutorial.request}); last != want {
			t.Errorf("last line %v, want %v", last, want)
		}
		p.end()
	})
}

func TestStreamInFlightFinishesAfterSigterm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, tutorial)
		p.get("/livez")
		lines := p.stream(t.Context(), "/stream")
		synctest.Wait()
		drained := p.goGet("/drain")
		<-drained
		second := p.stream(t.Context(), "/stream?seconds=1")
		synctest.Wait()
		p.client.CloseIdleConnections()
		p.term()
		for _, l := range []<-chan line{lines, second} {
			var last line
			for last = range l {
			}
			if last.text != "end" {
				t.Errorf("last line %v, want the end", last)
			}
		}
		p.wantEnded()
		if want := `"msg":"shutting down","inFlight":1`; !strings.Contains(p.log.String(), want) {
			t.Errorf("log lacks %s:\n%s", want, p.log.String())
		}
	})
}

func TestPost(t *testing.T) {
	big := strings.Repeat("x", 1<<20)
	for _, tc := range []struct {
		name string
		body io.Reader
		want string
	}{
		{name: "reads a small body", body: strings.NewReader("hello"), want: ", 5 bytes read"},
		{name: "reads a body that no buffer holds", body: strings.NewReader(big), want: fmt.Sprintf(", %d bytes read", len(big))},
		{name: "reads a body without Content-Length", body: io.MultiReader(strings.NewReader("hel"), strings.NewReader("lo")), want: ", 5 bytes read"},
		{name: "needs no body", body: nil, want: "hello after 5s"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := start(t, tutorial)
				p.get("/livez")
				got := p.do(p.request(t.Context(), http.MethodPost, "/", tc.body))
				got.check(t, "POST /", http.StatusOK, false)
				if !strings.HasSuffix(got.body, tc.want) || got.took != tutorial.request {
					t.Errorf("answer %q after %s, want …%q after %s", got.body, got.took, tc.want, tutorial.request)
				}
				p.end()
			})
		})
	}
}

func TestPostInFlightFinishesAfterSigterm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, tutorial)
		p.get("/livez")
		body, upload := io.Pipe()
		got := make(chan reply, 1)
		go func() { got <- p.do(p.request(t.Context(), http.MethodPost, "/", body)) }()
		_, _ = io.WriteString(upload, "first ")
		synctest.Wait()
		p.client.CloseIdleConnections()
		p.term()
		synctest.Wait()
		_, _ = io.WriteString(upload, "second")
		_ = upload.Close()
		r := <-got
		r.check(t, "POST with half its body sent at SIGTERM", http.StatusOK, true)
		if !strings.HasSuffix(r.body, ", 12 bytes read") {
			t.Errorf("answer %q, want 12 bytes read", r.body)
		}
		p.wantEnded()
	})
}

func TestPostThatBreaksOffIsNotFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, tutorial)
		p.get("/livez")
		c, err := p.dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: hello\r\nX-Request-Id: cut-1\r\nContent-Length: 10\r\n\r\nhalf"); err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
		p.end()
		if begun, finished, _ := readLedger(t, p.log.String()); begun["cut-1"] != 1 || len(finished) != 0 {
			t.Errorf("begun %v, finished %v; want cut-1 begun only", begun, finished)
		}
	})
}
