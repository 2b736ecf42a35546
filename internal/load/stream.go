package load

import "time"

// Line is what a load generator prints, as one line of JSON. Exactly one of its parts is set.
type Line struct {
	At       time.Time  `json:"at"` // by the generator's clock
	Progress []Progress `json:"progress,omitempty"`
	Lost     *Loss      `json:"lost,omitempty"`
	Summary  []Summary  `json:"summary,omitempty"` // the last line
}

// Progress is how far a target has come.
type Progress struct {
	Target string `json:"target"`
	Sent   uint64 `json:"sent"`
	Count         // of the requests that have ended
}

// Loss is a lost request, printed when it is known to be lost.
type Loss struct {
	Target string `json:"target"`
	Record
}

// Summary is a target's whole run.
type Summary struct {
	Target
	Count
	Latency Latency  `json:"latency"`
	Seconds []Second `json:"seconds"`
}

// Summarize closes a ledger.
func Summarize(t Target, l *Ledger) Summary {
	return Summary{Target: t, Count: l.Total(), Latency: l.Latency(), Seconds: Seconds(l.Records())}
}
