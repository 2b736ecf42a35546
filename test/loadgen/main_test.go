package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gracefulapp/gracefulapp/test/load"
)

func TestBadArguments(t *testing.T) {
	for name, args := range map[string][]string{
		"no target":         {},
		"no rate":           {"--target", "a=http://127.0.0.1"},
		"a rate in words":   {"--target", "a=http://127.0.0.1,rate=many,mode=new"},
		"an unknown mode":   {"--target", "a=http://127.0.0.1,rate=1,mode=pipelined"},
		"no name":           {"--target", "http://127.0.0.1,rate=1,mode=new"},
		"an extra word":     {"--target", "a=http://127.0.0.1,rate=1,mode=new", "now"},
		"negative duration": {"--target", "a=http://127.0.0.1,rate=1,mode=new", "--duration", "-1s"},
	} {
		if err := command(args, io.Discard, io.Discard, nil); err == nil {
			t.Errorf("accepted %s: %q", name, args)
		}
	}
}

func TestRunUntilSigtermReportsEverything(t *testing.T) {
	signals := make(chan os.Signal, 1)
	var requests atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch n := requests.Add(1); {
		case n == 10:
			signals <- syscall.SIGTERM
		case r.URL.Path == "/broken":
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	defer srv.Close()

	var out bytes.Buffer
	args := []string{"--target", "good=" + srv.URL + "/,rate=100,mode=keep-alive", "--target", "bad=" + srv.URL + "/broken,rate=100,mode=new"}
	if err := command(args, &out, io.Discard, signals); err != nil {
		t.Fatal(err)
	}
	var lost int
	var summary []load.Summary
	for text := range strings.Lines(out.String()) {
		var line load.Line
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if line.Lost != nil {
			lost++
			if line.Lost.Target != "bad" || line.Lost.Class != load.ServerError || time.Since(line.Lost.Sent) > time.Minute {
				t.Errorf("lost %+v, want a 5xx of the bad target with its time", line.Lost)
			}
		}
		summary = line.Summary
	}
	if len(summary) != 2 {
		t.Fatalf("the last line has no summary of both targets:\n%s", out.String())
	}
	good, bad := summary[0], summary[1]
	if good.Name != "good" || good.Requests == 0 || good.Answered != good.Requests {
		t.Errorf("good target: %+v, want all answered", good)
	}
	if bad.Name != "bad" || bad.Lost != lost || bad.Lost < bad.Requests-1 {
		t.Errorf("bad target: %+v with %d lines of losses, want all but one lost, and one line for each loss", bad, lost)
	}
	sent := 0
	for _, s := range good.Seconds {
		sent += s.Requests
	}
	if sent != good.Requests {
		t.Errorf("the seconds add up to %d of %d requests", sent, good.Requests)
	}
}
