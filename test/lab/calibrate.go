package main

import (
	"context"
	"fmt"
	"time"

	"github.com/gracefulapp/gracefulapp/internal/load"
	"github.com/gracefulapp/gracefulapp/test/lab/report"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

// The calibration finds the rate that this machine can carry today: it sends to workloads at rest, at a low rate and then at twice the rate,
// and again. The scenarios get at most half of the highest rate that was carried, for a scenario starts pods beside the load.
const (
	// mostCalibrationLate of a step's requests, up to which the machine carries the rate.
	mostCalibrationLate = 0.01
	// calibrationSteps are the rates from the lowest to twice the limit: an eighth of the limit is the least that the scenarios get. At less
	// the control loses too little to prove anything.
	calibrationSteps = 4
	// calibrationTries of a rate: another program's start must not decide.
	calibrationTries = 2
	// calibrationTime is how long a step sends. Its beginning does not count, in which the generators start and open their connections.
	calibrationTime, calibrationBegin = 5 * time.Second, 2 * time.Second
)

// nextRate is what the calibration tries after what it has seen; false: it has seen enough. limit is the highest rate that the scenarios may
// get. Pure.
func nextRate(limit float64, seen []report.CalibrationStep) (float64, bool) {
	lowest, highest := 2*limit/(1<<(calibrationSteps-1)), 2*limit
	if len(seen) == 0 {
		return lowest, true
	}
	last := seen[len(seen)-1]
	switch {
	case carried(last):
		return 2 * last.Rate, last.Rate < highest
	case triesOf(last.Rate, seen) < calibrationTries:
		return last.Rate, true
	}
	return 0, false
}

// chooseRate returns half of the highest rate that was carried, at most the limit. If none was, it returns half of the lowest, unless so many
// requests were late at each try that no scenario could pass judgement; then 0. Pure.
func chooseRate(limit float64, seen []report.CalibrationStep) float64 {
	highest := 0.0
	for _, s := range seen {
		if carried(s) || s.LateShare() <= mostSteadyLate && s.Rate == seen[0].Rate {
			highest = max(highest, s.Rate)
		}
	}
	return min(limit, highest/2)
}

func carried(s report.CalibrationStep) bool { return s.LateShare() <= mostCalibrationLate }

func triesOf(rate float64, seen []report.CalibrationStep) int {
	n := 0
	for _, s := range seen {
		if s.Rate == rate {
			n++
		}
	}
	return n
}

// calibrate sets the pace of the suite. An error that is ErrTooBusy comes with what was seen.
func (l *lab) calibrate(ctx context.Context) (report.Calibration, error) {
	var c report.Calibration
	limit := l.pace
	if err := l.settle(ctx, l.profile, nil); err != nil {
		return c, fmt.Errorf("before the calibration: %w", err)
	}
	l.say("calibration: at most %.0f %% of the requests may be late", 100*mostCalibrationLate)
	for {
		rate, ok := nextRate(limit, c.Steps)
		if !ok {
			break
		}
		l.pace = rate
		step := l.calibrationStep(ctx)
		if ctx.Err() != nil {
			return c, ctx.Err()
		}
		l.say("  %s, load average %.1f", step, step.Load1)
		c.Steps = append(c.Steps, step)
	}
	c.Rate = chooseRate(limit, c.Steps)
	l.pace = c.Rate
	if c.Rate == 0 {
		return c, fmt.Errorf("%w: %s; load average %.1f", testbed.ErrTooBusy, c, l.loadAverage())
	}
	l.say("  the scenarios send at rate %.3g", c.Rate)
	return c, nil
}

// calibrationStep sends at the suite's pace for a while. Where that does not work it says why: an overloaded machine starts no generators.
func (l *lab) calibrationStep(ctx context.Context) report.CalibrationStep {
	step := report.CalibrationStep{Rate: l.pace}
	r := &round{lab: l, scenario: scenario{profile: l.profile}}
	l.recorder.forget()
	err := r.startTraffic(ctx)
	defer r.traffic.remove()
	if err == nil {
		err = r.steady(ctx, calibrationTime)
	}
	if err == nil {
		err = r.traffic.stop(ctx)
	}
	step.Load1 = l.loadAverage()
	if err != nil {
		step.Problem = err.Error()
		return step
	}
	sum := afterBegin(r.traffic.all())
	step.Requests, step.Late = sum.Requests, sum.Late
	return step
}

// afterBegin counts the requests that each target was sent after the generators' start. Pure.
func afterBegin(all []sent) load.Count {
	var sum load.Count
	for _, s := range all {
		for _, second := range s.Seconds {
			if second.At.Sub(s.Seconds[0].At) >= calibrationBegin {
				sum = sum.Add(second.Count)
			}
		}
	}
	return sum
}
