package main

import (
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// The request ledger is what the server has to say of each request that has an id; whoever knows what the clients saw can tell from both
// which requests never came, which were begun and cut, and which were answered and got lost on their way.
//
// A request's id is its X-Request-Id header. A message on a WebSocket that begins with `id=` has what follows for its id.
// With LEDGER=on the process writes lines like these to stdout, among those of its log:
//
//	{"time":"2026-01-02T15:04:05.123456789Z","ledger":1,"begun":{"aware/new@node-1":[17,18]},"finished":{"aware/new@node-1":[15]}}
//	{"time":"2026-01-02T15:04:05.123456789Z","ledger":1,"begun":{"a word":[]},"finished":{"a word":[]}}
//	{"time":"2026-01-02T15:04:09.123456789Z","ledger":1,"end":true}
//
//	ledger    the version of this format
//	begun     the request has come: its handler runs
//	finished  the handler has returned after it had written the whole answer, and the client was still there
//	end       the last line of a process that ends by itself: the ledger is complete, and what is not finished now was cut short.
//	          Without it the process was killed, and at most the last ledgerInterval is missing
//	missing   beside end, only if it is not 0: how many begun and finished were not written since too many of them waited
//
// An id PREFIX-NUMBER stands as NUMBER in the list of PREFIX; the last '-' separates, and NUMBER has up to 15 digits, the first of them
// not 0 unless it is the only one. An id of another form stands for itself, with an empty list, in a line without numbers. An id may
// come more than once. It is begun in the same line as it is finished, or in an earlier one. Ids of more than maxID bytes, and such as
// are not UTF-8, are not recorded: strangers choose them.
const (
	// ledgerInterval is between two lines: what a killed process may fail to tell, and at 2,000 requests per second still a line of less
	// than 3 KB, ten times a second.
	ledgerInterval = 100 * time.Millisecond
	// maxID in bytes; a UUID has 36, a name of the lab with its number 50.
	maxID = 128
	// maxDigits of a number: readers that hold numbers as float64 keep those below 2^53, about 9e15, exactly.
	maxDigits = 15
	// maxPending begun and finished wait for the next line, several MB at the worst: 30 s of 1,000 requests per second while nobody
	// reads the log.
	maxPending = 60_000
)

// ledger collects ids and writes them, at most once in ledgerInterval. A nil one records nothing.
type ledger struct {
	mu      sync.Mutex
	pending page
	missing int
	timed   bool // a write is due
	ended   bool

	writing sync.Mutex // held while lines are written, so that they come in order; before mu
	out     io.Writer
}

func newLedger(out io.Writer) *ledger { return &ledger{out: out} }

// page is what has happened since the last line.
type page struct {
	begun, finished ids
	count           int
}

// ids that have a number, by their prefixes, and the others.
type ids struct {
	numbers map[string][]uint64
	words   []string
}

func (l *ledger) begin(id string) {
	if l != nil {
		l.note(id, &l.pending.begun)
	}
}

func (l *ledger) finish(id string) {
	if l != nil {
		l.note(id, &l.pending.finished)
	}
}

func (l *ledger) note(id string, to *ids) {
	if id == "" || len(id) > maxID || !utf8.ValidString(id) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.ended:
		return
	case l.pending.count >= maxPending:
		l.missing++
		return
	}
	to.add(id)
	l.pending.count++
	if !l.timed {
		l.timed = true
		time.AfterFunc(ledgerInterval, l.write)
	}
}

// add copies what it keeps: a header's value is a part of one string with all headers of its request.
func (i *ids) add(id string) {
	prefix, n, ok := cutNumber(id)
	if !ok {
		i.words = append(i.words, strings.Clone(id))
		return
	}
	if _, known := i.numbers[prefix]; !known {
		if i.numbers == nil {
			i.numbers = map[string][]uint64{}
		}
		prefix = strings.Clone(prefix)
	}
	i.numbers[prefix] = append(i.numbers[prefix], n)
}

func cutNumber(id string) (prefix string, n uint64, ok bool) {
	at := strings.LastIndexByte(id, '-')
	digits := id[at+1:]
	if at < 0 || digits == "" || len(digits) > maxDigits || digits[0] == '0' && len(digits) > 1 {
		return "", 0, false
	}
	for _, d := range []byte(digits) {
		if d < '0' || d > '9' {
			return "", 0, false
		}
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return id[:at], n, err == nil
}

// write writes what is pending.
func (l *ledger) write() {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	p := l.pending
	l.pending, l.timed = page{}, false
	l.mu.Unlock()
	p.writeTo(&lines{out: l.out, time: time.Now()})
}

func (p *page) writeTo(b *lines) {
	fields := []struct {
		name string
		ids  ids
	}{{"begun", p.begun}, {"finished", p.finished}}
	for _, f := range fields {
		for _, prefix := range slices.Sorted(maps.Keys(f.ids.numbers)) {
			b.add(f.name, prefix, f.ids.numbers[prefix])
		}
	}
	b.flush() // a line has either numbers or words
	for _, f := range fields {
		for _, word := range f.ids.words {
			b.add(f.name, word, nil)
		}
	}
	b.flush()
}

// end writes the last line; whatever comes later is not recorded.
func (l *ledger) end() {
	if l == nil {
		return
	}
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.write()
	l.writing.Lock()
	defer l.writing.Unlock()
	(&lines{out: l.out, time: time.Now()}).end(l.missing)
}
