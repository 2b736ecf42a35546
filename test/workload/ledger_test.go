package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// readLedger reads the format that ledger.go describes. It returns how often each id was begun and finished.
func readLedger(t *testing.T, log string) (begun, finished map[string]int, ended bool) {
	t.Helper()
	begun, finished = map[string]int{}, map[string]int{}
	for text := range strings.Lines(log) {
		var line struct {
			Time            time.Time
			Ledger          int
			Begun, Finished map[string][]uint64
			End             bool
		}
		if err := json.Unmarshal([]byte(text), &line); err != nil || line.Time.IsZero() {
			t.Fatalf("line %q: time %v, error %v", text, line.Time, err)
		}
		if ended {
			t.Errorf("a line after the end: %s", text)
		}
		if line.Ledger == 0 {
			continue // a line of the log
		}
		if line.Ledger != 1 || len(text) >= 16<<10 {
			t.Errorf("version %d, %d bytes; want version 1, less than 16 KiB: %.100s", line.Ledger, len(text), text)
		}
		addIDs(begun, line.Begun)
		addIDs(finished, line.Finished)
		for id, n := range finished {
			if n > begun[id] {
				t.Fatalf("%q was finished %d times and begun %d times", id, n, begun[id])
			}
		}
		ended = line.End
	}
	return begun, finished, ended
}

func addIDs(to map[string]int, from map[string][]uint64) {
	for key, numbers := range from {
		if len(numbers) == 0 {
			to[key]++
		}
		for _, n := range numbers {
			to[key+"-"+strconv.FormatUint(n, 10)]++
		}
	}
}

func (p *process) getAs(ctx context.Context, id, path string) reply {
	req := p.request(ctx, http.MethodGet, path, nil)
	req.Header.Set("X-Request-Id", id)
	return p.do(req)
}

func (p *process) ledgerLines() []string {
	var lines []string
	for text := range strings.Lines(p.log.String()) {
		if strings.Contains(text, `"ledger":1`) {
			lines = append(lines, strings.TrimSpace(text))
		}
	}
	return lines
}

// The clock of a synctest bubble begins at midnight of 2000-01-01, and the server listens after 25 s.
func TestLedgerFormat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, tutorial)
		p.get("/livez")
		for i := range 2 {
			go p.getAs(t.Context(), fmt.Sprintf("aware/new@node-1-%d", 17+i), fmt.Sprintf("/?seconds=0.1%d", 5+i))
			synctest.Wait()
		}
		p.getAs(t.Context(), "other-3", "/?seconds=0")
		p.getAs(t.Context(), "a word", "/?seconds=0.03")
		time.Sleep(time.Second)
		p.end() // two seconds after SIGTERM, in which no connection comes
		want := []string{
			`{"time":"2000-01-01T00:00:25.1Z","ledger":1,"begun":{"aware/new@node-1":[17,18],"other":[3]},"finished":{"other":[3]}}`,
			`{"time":"2000-01-01T00:00:25.1Z","ledger":1,"begun":{"a word":[]},"finished":{"a word":[]}}`,
			`{"time":"2000-01-01T00:00:25.25Z","ledger":1,"finished":{"aware/new@node-1":[17,18]}}`,
			`{"time":"2000-01-01T00:00:28.03Z","ledger":1,"end":true}`,
		}
		if got := p.ledgerLines(); !slices.Equal(got, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

func TestLedgerShowsUnfinishedRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, tutorial)
		p.get("/livez")
		ctx, cancel := context.WithCancel(t.Context())
		go p.getAs(t.Context(), "answered-1", "/sleep")
		go p.getAs(ctx, "left-1", "/stream")
		cut := make(chan reply, 1)
		go func() { cut <- p.getAs(t.Context(), "cut-1", "/?seconds=60") }()
		refused := p.getAs(t.Context(), "refused-1", "/?seconds=long")
		refused.check(t, "bad request", http.StatusBadRequest, false)
		time.Sleep(time.Second)
		cancel()
		synctest.Wait()
		p.client.CloseIdleConnections()
		p.term()
		if err := <-p.exit; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ended with %v, want a request that was cut off", err)
		}
		log := p.log.String()
		begun, finished, ended := readLedger(t, log)
		for id, want := range map[string][2]int{"answered-1": {1, 1}, "left-1": {1, 0}, "cut-1": {1, 0}, "refused-1": {1, 1}} {
			if begun[id] != want[0] || finished[id] != want[1] {
				t.Errorf("%s: begun %d times, finished %d times; want %v", id, begun[id], finished[id], want)
			}
		}
		if !ended {
			t.Error("the ledger has no end")
		}
		<-cut // the process would be gone by now
		time.Sleep(time.Second)
		if p.log.String() != log {
			t.Error("something was written after the end")
		}
	})
}

func TestLedgerHasAnEndAlsoWhenTheStartIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, tutorial)
		p.term()
		p.wantEnded()
		if begun, _, ended := readLedger(t, p.log.String()); len(begun) != 0 || !ended {
			t.Errorf("begun %v, ended %v; want none, ended", begun, ended)
		}
	})
}

func TestLedgerKeepsEachID(t *testing.T) {
	for _, tc := range []struct {
		name, id string
		wantLine string // "": not recorded
	}{
		{name: "a number after the last dash", id: "a-b-7", wantLine: `"begun":{"a-b":[7]}`},
		{name: "zero", id: "a-0", wantLine: `"begun":{"a":[0]}`},
		{name: "a number of its own", id: "-7", wantLine: `"begun":{"":[7]}`},
		{name: "as large as a float64 keeps exactly", id: "a-999999999999999", wantLine: `"begun":{"a":[999999999999999]}`},
		{name: "a larger number is a word", id: "a-1000000000000000", wantLine: `"begun":{"a-1000000000000000":[]}`},
		{name: "leading zeros would be lost", id: "a-07", wantLine: `"begun":{"a-07":[]}`},
		{name: "a sign would be lost", id: "a-+7", wantLine: `"begun":{"a-+7":[]}`},
		{name: "a dash without a number", id: "a-", wantLine: `"begun":{"a-":[]}`},
		{name: "a UUID that ends in a letter", id: "8a6e-0f1c", wantLine: `"begun":{"8a6e-0f1c":[]}`},
		{name: "only digits", id: "7", wantLine: `"begun":{"7":[]}`},
		{name: "characters that JSON must escape", id: "\"\x01\\-7", wantLine: `"begun":{"\"\u0001\\":[7]}`},
		{name: "no id", id: "", wantLine: ""},
		{name: "as long as may be", id: strings.Repeat("x", maxID), wantLine: `"begun":{"` + strings.Repeat("x", maxID) + `":[]}`},
		{name: "too long", id: strings.Repeat("x", maxID+1), wantLine: ""},
		{name: "not UTF-8", id: "a\xff-7", wantLine: ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out bytes.Buffer
			l := newLedger(&out)
			l.begin(tc.id)
			l.end()
			begun, _, ended := readLedger(t, out.String())
			if tc.wantLine != "" && (len(begun) != 1 || begun[tc.id] != 1) || tc.wantLine == "" && len(begun) != 0 || !ended {
				t.Errorf("begun %v, want %q", begun, tc.id)
			}
			if !strings.Contains(out.String(), tc.wantLine) {
				t.Errorf("wrote %s, want %s", out.String(), tc.wantLine)
			}
		})
	}
}
