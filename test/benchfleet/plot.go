package main

import (
	"fmt"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	_ "gonum.org/v1/plot/vg/vgsvg" // the format of the file
)

// draw writes a picture of the cost per app against the number of apps, both logarithmic: work that grows with the fleet would be a rising line.
func draw(file string, all []measurement) error {
	p := plot.New()
	p.Title.Text = "Cost of an app that is created"
	p.X.Label.Text, p.Y.Label.Text = "apps", "ms per app"
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.LogTicks{Prec: -1}, plot.LogTicks{Prec: -1}
	p.Legend.Top = true
	var lines []any
	for _, series := range []struct {
		name  string
		value func(measurement) float64
	}{
		{name: "operator: time", value: func(m measurement) float64 { return 1000 * m.Operator.Create / float64(m.Apps) }},
		{name: "operator: CPU", value: func(m measurement) float64 { return 1000 * m.Operator.CPUSeconds }},
		{name: "bare client, all writes: time", value: func(m measurement) float64 { return 1000 * m.Baseline.Limit / float64(m.Apps) }},
	} {
		for _, namespaces := range namespacesOf(all) {
			lines = append(lines, fmt.Sprintf("%s (%s)", series.name, namespaceText(namespaces)), points(all, namespaces, series.value))
		}
	}
	if err := plotutil.AddLinePoints(p, lines...); err != nil {
		return err
	}
	p.Y.Min, p.Y.Max = 1, max(1000, p.Y.Max)
	return p.Save(18*vg.Centimeter, 12*vg.Centimeter, file)
}

// points returns the median of the runs for each number of apps.
func points(all []measurement, namespaces int, value func(measurement) float64) plotter.XYs {
	values := map[int][]float64{}
	for _, m := range all {
		if m.Namespaces == namespaces {
			values[m.Apps] = append(values[m.Apps], value(m))
		}
	}
	var out plotter.XYs
	for apps, of := range values {
		slices.Sort(of)
		out = append(out, plotter.XY{X: float64(apps), Y: of[len(of)/2]})
	}
	slices.SortFunc(out, func(a, b plotter.XY) int { return int(a.X - b.X) })
	return out
}

func namespacesOf(all []measurement) []int {
	var numbers []int
	for _, m := range all {
		numbers = append(numbers, m.Namespaces)
	}
	slices.Sort(numbers)
	return slices.Compact(numbers)
}

func namespaceText(n int) string {
	if n == 1 {
		return "1 namespace"
	}
	return fmt.Sprintf("%d namespaces", n)
}
