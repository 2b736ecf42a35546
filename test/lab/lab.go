package lab

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/gracefulapp/gracefulapp/test/lab/report"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

// lab runs scenarios, one after the other, on the workloads in a cluster.
type lab struct {
	testbed   *testbed.Testbed
	screen    *testbed.Screen
	options   options
	suite     suite
	recorder  *recorder
	random    *rand.Rand
	addresses addresses
	places    []place
	deployed  string // name of the workloads' profile; "" if a step has changed them, so that the next scenario deploys them again
	counter   int    // makes the names of rounds and versions unique
	current   *round
	// live returns the progress line under load; nil means the lab's own.
	live func(text string) string
}

func newLab(t *testbed.Testbed, screen *testbed.Screen, o options, s suite) *lab {
	s = s.copied() // scenarios change workloads, and another lab may run the suite again
	return &lab{
		testbed: t, screen: screen, options: o, suite: s,
		random: rand.New(rand.NewPCG(o.seed, o.seed)), // the same seed makes the same choices
	}
}

// start deploys the workloads and the proxies in the empty namespace, and finds their addresses.
func (l *lab) start(ctx context.Context) error {
	var err error
	if l.recorder, err = newRecorder(ctx, l.testbed); err != nil {
		return err
	}
	if err := l.deploy(ctx, l.suite.profile); err != nil {
		return err
	}
	if l.suite.proxies {
		if err := l.startProxies(ctx); err != nil {
			return err
		}
	}
	return l.findAddresses(ctx)
}

func (l *lab) say(format string, args ...any) { l.screen.Say(format, args...) }

// showProgress shows the counts so far and the given text as the progress line.
func (l *lab) showProgress(text string) {
	if l.current == nil || l.current.traffic == nil {
		l.screen.Progress("  " + text)
		return
	}
	if l.live != nil {
		l.screen.Progress(l.live(text))
		return
	}
	line := ""
	for _, w := range l.suite.workloads {
		c := l.current.traffic.count(w.name)
		line += fmt.Sprintf("  %s %d/%d", w.name, c.Lost, c.Requests)
	}
	l.screen.Progress("  lost/sent" + line + "  " + text)
}

func (l *lab) nextNumber() string {
	l.counter++
	return strconv.Itoa(l.counter)
}

// version returns a new value for the version annotation of a pod template.
func (l *lab) version() string { return fmt.Sprintf("%d-%s", time.Now().Unix(), l.nextNumber()) }

// schedule returns the next scenario after the results so far, and the progress of the run as a text. ok is false at the end of the run.
type schedule func(found report.Run) (next scenario, progress string, ok bool)

// untilSent returns a schedule of promised scenarios at random, until the drain-aware app has been sent the given number of requests.
func (l *lab) untilSent(requests int) schedule {
	var all []scenario
	for _, s := range scenarios() {
		if s.promised && !s.needsTools && (!s.needsEmbedded || l.options.cluster != "") && s.profile.name == "" {
			all = append(all, s.withDefaults())
		}
	}
	return func(found report.Run) (scenario, string, bool) {
		sent := 0
		for _, s := range found.Scenarios {
			for _, w := range s.Workloads {
				if w.Name == l.suite.workloads[0].name {
					sent += w.Total().Requests
				}
			}
		}
		progress := fmt.Sprintf("%d of %d requests sent", sent, requests)
		return all[l.random.IntN(len(all))], progress, sent < requests
	}
}

// runAll runs the scenarios of a schedule and adds the results to those of earlier suites. It stores the results after each scenario, so that an
// interrupted run has a report too.
func (l *lab) runAll(ctx context.Context, found report.Run, next schedule) (report.Run, error) {
	machine, err := l.machine(ctx)
	if err != nil {
		return found, err
	}
	if found.Begin.IsZero() {
		found.Begin = time.Now()
	}
	found.Version, found.Seed, found.Machine = version, l.options.seed, machine
	before := len(found.Scenarios)
	for {
		s, progress, ok := next(report.Run{Scenarios: found.Scenarios[before:]})
		if !ok {
			return found, nil
		}
		l.screen.Title(progress + "  " + s.title)
		one, err := l.run(ctx, s)
		found.End = time.Now()
		if ctx.Err() != nil {
			found.Interrupted = true
			return found, errors.Join(fmt.Errorf("%s: %w", s.name, ctx.Err()), l.store(found))
		}
		if err != nil && one.Result() == report.Passed { // the next scenario may still succeed
			one = report.Scenario{Name: s.name, Title: s.title, Faults: []string{"it did not end: " + err.Error()}}
		}
		one.Rate = l.suite.pace
		found.Scenarios = append(found.Scenarios, withFewerLosses(one))
		l.say("%s", outcome(one))
		if err := l.store(found); err != nil {
			return found, err
		}
	}
}

// withFewerLosses returns the scenario with the losses that are stored.
func withFewerLosses(s report.Scenario) report.Scenario {
	for i, w := range s.Workloads {
		s.Workloads[i].Losses = w.Losses[:min(len(w.Losses), report.MaxLosses)]
	}
	return s
}

func outcome(s report.Scenario) string {
	var parts []string
	for _, w := range s.Workloads {
		sum := w.Total()
		parts = append(parts, fmt.Sprintf("%s lost %d of %d", w.Name, sum.Lost, sum.Requests))
	}
	text := "  " + strings.Join(parts, ", ")
	for _, f := range s.Faults {
		text += "\n  FAILED: " + f
	}
	if s.Result() == report.TooBusy {
		text += "\n  PROVES NOTHING HERE: TOO BUSY"
	}
	for _, f := range s.TooBusy {
		text += "\n  too busy: " + f
	}
	return text
}

func (l *lab) store(r report.Run) error {
	if l.options.json == "" {
		return nil
	}
	return report.Write(l.options.json, r)
}
