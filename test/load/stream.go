package load

import "time"

// Line is one line of a load generator's output, as JSON. Exactly one of Progress, Lost and Summary is set.
type Line struct {
	At       time.Time  `json:"at"` // on the generator's clock
	Progress []Progress `json:"progress,omitempty"`
	Lost     *Loss      `json:"lost,omitempty"`
	Summary  []Summary  `json:"summary,omitempty"` // the last line
}

// Progress has the counts of a target so far.
type Progress struct {
	Target string `json:"target"`
	Sent   uint64 `json:"sent"`
	Count         // of requests that have ended
}

// Loss is a lost request. The generator prints it at once.
type Loss struct {
	Target string `json:"target"`
	Record
}

// Summary is the result of a target's whole run.
type Summary struct {
	Target
	Count
	Latency Latency  `json:"latency"`
	Seconds []Second `json:"seconds"`
}

// Summarize returns the summary of a target and its ledger.
func Summarize(t Target, l *Ledger) Summary {
	return Summary{Target: t, Count: l.Total(), Latency: l.Latency(), Seconds: Seconds(l.Records())}
}
