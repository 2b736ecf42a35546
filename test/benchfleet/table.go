package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// figure is a line of the table: what was measured, and how a run's value is found.
type figure struct {
	name   string
	format string                    // of one number
	value  func(measurement) float64 // NaN if the run did not measure it
}

// ratio returns NaN if nothing was measured.
func ratio(a, b float64) float64 {
	if b == 0 {
		return math.NaN()
	}
	return a / b
}

func figures() []figure {
	perApp := func(seconds func(measurement) float64) func(measurement) float64 {
		return func(m measurement) float64 { return 1000 * seconds(m) / float64(m.Apps) }
	}
	create := func(m measurement) float64 { return m.Operator.Create }
	admitted := func(value func(admission) float64) func(measurement) float64 {
		return func(m measurement) float64 {
			if m.Admission == nil {
				return math.NaN()
			}
			return value(*m.Admission)
		}
	}
	return []figure{
		{name: "create / limit", format: "%.2f", value: func(m measurement) float64 { return ratio(m.Operator.Create, m.Baseline.Limit) }},
		{name: "create / floor", format: "%.2f", value: func(m measurement) float64 { return ratio(m.Operator.Create, m.Baseline.Floor) }},
		{name: "patch / direct patch", format: "%.2f", value: func(m measurement) float64 { return ratio(m.Operator.Patch, m.Baseline.Patch) }},
		{name: "patch / bare client that patches app, scale and status", format: "%.2f", value: func(m measurement) float64 {
			return ratio(m.Operator.Patch, m.Baseline.PatchLimit)
		}},
		{name: "create with admission / bare client with 4 dry runs", format: "%.2f", value: func(m measurement) float64 {
			if m.Admission == nil {
				return math.NaN()
			}
			return ratio(m.Admission.Create, m.Baseline.Admitted)
		}},
		{name: "creation of one app, p50, ms", format: "%.0f", value: admitted(func(a admission) float64 { return a.Without.P50 })},
		{name: "creation of one app, p99, ms", format: "%.0f", value: admitted(func(a admission) float64 { return a.Without.P99 })},
		{name: "creation of one app with admission, p50, ms", format: "%.0f", value: admitted(func(a admission) float64 { return a.With.P50 })},
		{name: "creation of one app with admission, p99, ms", format: "%.0f", value: admitted(func(a admission) float64 { return a.With.P99 })},
		{name: "50 concurrent kubectl apply with admission, s", format: "%.1f", value: admitted(func(a admission) float64 { return a.Kubectl })},
		{name: "create, ms per app", format: "%.1f", value: perApp(create)},
		{name: "CPU, ms per app", format: "%.1f", value: func(m measurement) float64 { return 1000 * m.Operator.CPUSeconds }},
		{name: "writes per app until observed", format: "%.2f", value: func(m measurement) float64 { return m.Operator.CreateWrites }},
		{name: "writes per app until Ready", format: "%.2f", value: func(m measurement) float64 { return m.Operator.SettleWrites }},
		{name: "refused writes per app", format: "%.2f", value: func(m measurement) float64 { return m.Operator.FailedWrites }},
		{name: "events per app until Ready", format: "%.2f", value: func(m measurement) float64 { return m.Operator.Events }},
		{name: "peak memory, MB", format: "%.0f", value: func(m measurement) float64 { return m.Operator.PeakRSS }},
		{name: "at rest for 60 s: writes", format: "%.0f", value: func(m measurement) float64 { return m.Operator.Rest.Writes }},
		{name: "at rest for 60 s: reads", format: "%.0f", value: func(m measurement) float64 { return m.Operator.Rest.Reads }},
		{name: "at rest for 60 s: CPU, s", format: "%.2f", value: func(m measurement) float64 { return m.Operator.RestCPU }},
		{name: "restart: s until the queue is empty", format: "%.1f", value: func(m measurement) float64 { return m.Operator.Restart.Seconds }},
		{name: "restart: writes", format: "%.0f", value: func(m measurement) float64 { return m.Operator.Restart.Requests.Writes }},
		{name: "restart: reads", format: "%.0f", value: func(m measurement) float64 { return m.Operator.Restart.Requests.Reads }},
		{name: "restart: memory, MB", format: "%.0f", value: func(m measurement) float64 { return m.Operator.Restart.RSS }},
		{name: "restart: peak memory, MB", format: "%.0f", value: func(m measurement) float64 { return m.Operator.Restart.PeakRSS }},
		{name: "next leader (without webhook) after SIGTERM, s", format: "%.1f", value: func(m measurement) float64 { return m.Operator.ReleasedLease }},
		{name: "next leader (without webhook) after SIGKILL, s", format: "%.1f", value: func(m measurement) float64 { return m.Operator.ExpiredLease }},
	}
}

// table formats the medians of the runs, with the lowest and the highest value if they differ. Pure.
func table(all []measurement) string {
	groups := map[[2]int][]measurement{}
	var keys [][2]int
	for _, m := range all {
		key := [2]int{m.Namespaces, m.Apps}
		if groups[key] == nil {
			keys = append(keys, key)
		}
		groups[key] = append(groups[key], m)
	}
	slices.SortFunc(keys, func(a, b [2]int) int { return slices.Compare(a[:], b[:]) })
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(first string, cell func(key [2]int) string) {
		fmt.Fprintf(w, "%s\t", first)
		for _, key := range keys {
			fmt.Fprintf(w, "%s\t", cell(key))
		}
		fmt.Fprintln(w)
	}
	line("apps", func(key [2]int) string { return fmt.Sprint(key[1]) })
	line("namespaces", func(key [2]int) string { return fmt.Sprint(key[0]) })
	for _, f := range figures() {
		line(f.name, func(key [2]int) string { return f.summary(groups[key]) })
	}
	_ = w.Flush() // a strings.Builder returns no error
	return out.String()
}

// summary returns the median, with the range in parentheses if a run differs, or a dash if no run measured it.
func (f figure) summary(runs []measurement) string {
	var values []float64
	for _, m := range runs {
		if v := f.value(m); !math.IsNaN(v) {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return "-"
	}
	slices.Sort(values)
	text := func(v float64) string { return fmt.Sprintf(f.format, v) }
	median, low, high := text(values[len(values)/2]), text(values[0]), text(values[len(values)-1])
	if low == high {
		return median
	}
	return fmt.Sprintf("%s (%s-%s)", median, low, high)
}
