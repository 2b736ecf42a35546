package lab

import (
	"encoding/json"
	"math/big"
	"math/bits"
	"time"
)

// serverLedger has the requests that a server has logged, by their IDs.
type serverLedger struct {
	requests map[string]*requests // by target
}

// requests has the numbers of the requests of one target.
type requests struct{ begun, finished set }

// set is a set of numbers, stored as bits. Most numbers are close to each other.
type set struct{ bits big.Int }

func (s *set) add(n uint64) { s.bits.SetBit(&s.bits, int(n), 1) }

func (s *set) has(n uint64) bool { return s.bits.Bit(int(n)) == 1 }

func (s *set) count() int {
	n := 0
	for _, word := range s.bits.Bits() {
		n += bits.OnesCount(uint(word))
	}
	return n
}

// maxSequence bounds the memory of a set. No run sends as many requests to one target.
const maxSequence = 1 << 28

// logLine is a line of hello's log: an event such as "shutting down", or a part of its ledger (see hello/ledger.go).
type logLine struct {
	Time     time.Time           `json:"time"`
	Msg      string              `json:"msg"`
	Ledger   int                 `json:"ledger"`
	Begun    map[string][]uint64 `json:"begun"`
	Finished map[string][]uint64 `json:"finished"`
	End      bool                `json:"end"`
}

// parseLine parses a line of hello's log. It returns false for any other line.
func parseLine(text []byte) (logLine, bool) {
	var line logLine
	err := json.Unmarshal(text, &line)
	return line, err == nil && (line.Msg != "" || line.Ledger > 0)
}

func (l *serverLedger) add(line logLine) {
	for target, numbers := range line.Begun {
		for _, n := range numbers {
			if n < maxSequence {
				l.of(target).begun.add(n)
			}
		}
	}
	for target, numbers := range line.Finished {
		for _, n := range numbers {
			if n < maxSequence {
				l.of(target).finished.add(n)
			}
		}
	}
}

func (l *serverLedger) of(target string) *requests {
	if l.requests[target] == nil {
		l.requests[target] = &requests{}
	}
	return l.requests[target]
}
