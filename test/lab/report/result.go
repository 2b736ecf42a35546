package report

import (
	"fmt"
	"strings"
)

// Result is the result of a scenario, as tables show it.
type Result string

// The results, from the best to the worst.
const (
	Passed  Result = "passed"
	TooBusy Result = "too busy" // the machine was too busy, so the scenario proves nothing
	Failed  Result = "FAILED"
)

var ranks = map[Result]int{Passed: 0, TooBusy: 1, Failed: 2}

func (r Result) worse(other Result) bool { return ranks[r] > ranks[other] }

// Result returns the result of the scenario.
func (s Scenario) Result() Result {
	switch {
	case len(s.Faults) > 0:
		return Failed
	case len(s.TooBusy) > 0:
		return TooBusy
	}
	return Passed
}

// Calibration has the steps that determined the rate of a suite.
type Calibration struct {
	Steps []CalibrationStep `json:"steps"`
	// Rate is the chosen rate, or 0 if the machine was too busy for the lowest rate.
	Rate float64 `json:"rate"`
}

// CalibrationStep has the counts of a time of load at one rate, which is a share of the clients' full rates.
type CalibrationStep struct {
	Rate     float64 `json:"rate"`
	Requests int     `json:"requests"`
	Late     int     `json:"late"`
	// Load1 is the machine's load average over one minute, at the end of the step.
	Load1 float64 `json:"load1,omitempty"`
	// Problem is the error if there was no load, such as generators that did not start in time.
	Problem string `json:"problem,omitempty"`
}

// LateShare returns the share of late requests, or 1 if no request was sent.
func (s CalibrationStep) LateShare() float64 {
	if s.Problem != "" || s.Requests == 0 {
		return 1
	}
	return float64(s.Late) / float64(s.Requests)
}

func (s CalibrationStep) String() string {
	if s.Problem != "" {
		return fmt.Sprintf("rate %.3g: %s", s.Rate, s.Problem)
	}
	return fmt.Sprintf("rate %.3g: %.1f %% of %s requests late", s.Rate, 100*s.LateShare(), Thousands(s.Requests))
}

func (c Calibration) String() string {
	var steps []string
	for _, s := range c.Steps {
		steps = append(steps, s.String())
	}
	text := strings.Join(steps, "; ")
	if c.Rate == 0 {
		return text + "; too busy for the lowest rate"
	}
	return text + fmt.Sprintf("; chosen rate %.3g", c.Rate)
}
