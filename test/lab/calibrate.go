package lab

import (
	"context"
	"fmt"
	"time"

	"github.com/gracefulapp/gracefulapp/test/lab/report"
	"github.com/gracefulapp/gracefulapp/test/load"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

// The calibration finds the rate that this machine sustains today. It sends to workloads that do not change, first at a low rate and then each time
// at twice the rate. The scenarios get at most half of the highest sustained rate, because they start pods while the load runs.
const (
	// maxCalibrationLate is the share of late requests up to which the machine sustains the rate.
	maxCalibrationLate = 0.01
	// calibrationSteps is the number of rates from the lowest to twice the limit. The scenarios get at least an eighth of the limit. At a lower rate
	// the control loses too few requests to prove anything.
	calibrationSteps = 4
	// calibrationTries is the number of tries at one rate, because another program may disturb one or two of them.
	calibrationTries = 3
	// calibrationTime is the length of a step. calibrationWarmUp is the part of it that does not count: the generators open their connections.
	calibrationTime, calibrationWarmUp = 5 * time.Second, 2 * time.Second
)

// nextRate returns the rate of the next step after those seen, or false after the last step. limit is the highest rate for the scenarios. Pure.
func nextRate(limit float64, seen []report.CalibrationStep) (float64, bool) {
	lowest, highest := 2*lowestRate(limit), 2*limit
	if len(seen) == 0 {
		return lowest, true
	}
	last := seen[len(seen)-1]
	switch {
	case sustained(last):
		return 2 * last.Rate, last.Rate < highest
	case triesOf(last.Rate, seen) < calibrationTries:
		return last.Rate, true
	}
	return 0, false
}

// lowestRate returns the lowest rate for the scenarios. Pure.
func lowestRate(limit float64) float64 { return limit / (1 << (calibrationSteps - 1)) }

// chooseRate returns half of the highest sustained rate, at most the limit. If no rate was sustained, it returns half of the lowest rate. It returns 0 if
// even then so many requests were late that each scenario would be too busy for a verdict. Pure.
func chooseRate(limit float64, seen []report.CalibrationStep) float64 {
	highest := 0.0
	for _, s := range seen {
		if sustained(s) || s.LateShare() <= maxSteadyLate && s.Rate == seen[0].Rate {
			highest = max(highest, s.Rate)
		}
	}
	return min(limit, highest/2)
}

func sustained(s report.CalibrationStep) bool { return s.LateShare() <= maxCalibrationLate }

func triesOf(rate float64, seen []report.CalibrationStep) int {
	n := 0
	for _, s := range seen {
		if s.Rate == rate {
			n++
		}
	}
	return n
}

// calibrate sets the rate of the suite. It returns the steps also with the error ErrTooBusy.
func (l *lab) calibrate(ctx context.Context) (report.Calibration, error) {
	var c report.Calibration
	limit := l.suite.pace
	if err := l.settle(ctx, l.suite.profile); err != nil {
		return c, fmt.Errorf("before the calibration: %w", err)
	}
	l.say("calibration: at most %.0f %% of the requests may be late", 100*maxCalibrationLate)
	for {
		rate, ok := nextRate(limit, c.Steps)
		if !ok {
			break
		}
		l.suite.pace = rate
		step := l.calibrationStep(ctx)
		if ctx.Err() != nil {
			return c, ctx.Err()
		}
		l.say("  %s, load average %.1f", step, step.Load1)
		c.Steps = append(c.Steps, step)
	}
	c.Rate = chooseRate(limit, c.Steps)
	l.suite.pace = c.Rate
	if c.Rate == 0 {
		return c, fmt.Errorf("%w: %s; load average %.1f", testbed.ErrTooBusy, c, l.loadAverage())
	}
	l.say("  the scenarios use rate %.3g", c.Rate)
	return c, nil
}

// calibrationStep sends at the suite's rate. If the generators do not start, as on an overloaded machine, the step has the error as its Problem.
func (l *lab) calibrationStep(ctx context.Context) report.CalibrationStep {
	step := report.CalibrationStep{Rate: l.suite.pace}
	r := &round{lab: l, scenario: scenario{profile: l.suite.profile}}
	l.recorder.reset()
	err := r.startTraffic(ctx)
	defer r.traffic.remove()
	if err == nil {
		err = r.waitUnderLoad(ctx, calibrationTime)
	}
	if err == nil {
		err = r.traffic.stop(ctx)
	}
	step.Load1 = l.loadAverage()
	if err != nil {
		step.Problem = err.Error()
		return step
	}
	sum := countAfterWarmUp(r.traffic.results())
	step.Requests, step.Late = sum.Requests, sum.Late
	return step
}

// countAfterWarmUp counts the requests that were sent after the warm-up. Pure.
func countAfterWarmUp(all []targetResult) load.Count {
	var sum load.Count
	for _, s := range all {
		for _, second := range s.Seconds {
			if second.At.Sub(s.Seconds[0].At) >= calibrationWarmUp {
				sum = sum.Add(second.Count)
			}
		}
	}
	return sum
}
