package report

import (
	"errors"
	"fmt"
	"image/color"
	"image/png"
	"io"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// The picture is laid out as it is shown: 800 CSS pixels (1/96 inch) wide. It has twice as many, for screens that have them.
const (
	pictureWidth = 600 * vg.Length(1) // points
	pictureDPI   = 192

	margin         = 8 * vg.Length(1)
	headHeight     = 20 * vg.Length(1) // the scenario's title
	titleHeight    = 16 * vg.Length(1) // a panel's
	requestsHeight = 92 * vg.Length(1)
	lanesGap       = 5 * vg.Length(1) // else the axis' 0 touches the first pod's name
	laneHeight     = 10 * vg.Length(1)
	axisHeight     = 22 * vg.Length(1)
	panelGap       = 8 * vg.Length(1)
	legendHeight   = 18 * vg.Length(1)
)

// Picture draws a scenario as a PNG for documents: GracefulApp above, the control below. Its background is white whatever is around it, for a
// document cannot tell a picture how dark it is.
func Picture(w io.Writer, s Scenario) error {
	workloads := pictured(s)
	if len(workloads) == 0 {
		return errors.New("drawing the scenario " + s.Name + ": it has no workload")
	}
	height := 2*margin + headHeight + legendHeight
	for _, workload := range workloads {
		height += panelHeight(workload)
	}
	picture := vgimg.NewWith(vgimg.UseWH(pictureWidth, height), vgimg.UseDPI(pictureDPI), vgimg.UseBackgroundColor(color.White))
	canvas := draw.Crop(draw.New(picture), margin, -margin, margin, -margin)

	head, canvas := split(canvas, headHeight)
	write(head, ink(10.5).bold(), head.Min.X, head.Max.Y, cut(ink(10.5).bold(), clean(s.Title), head.Max.X-head.Min.X))
	var panels []draw.Canvas
	for _, workload := range workloads {
		var panel draw.Canvas
		panel, canvas = split(canvas, panelHeight(workload))
		panels = append(panels, panel)
	}
	drawPanels(s, workloads, panels)
	drawLegend(canvas)
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(w, picture.Image()); err != nil {
		return fmt.Errorf("drawing the scenario %s: %w", s.Name, err)
	}
	return nil
}

// pictured are the first workload and its control, what a reader compares at one glance. A scenario may lack one of them.
func pictured(s Scenario) []Workload {
	all := opposed(s.Workloads)
	return all[:min(2, len(all))]
}

func panelHeight(w Workload) vg.Length {
	return titleHeight + requestsHeight + lanesGap + lanesHeight(w) + panelGap
}

func lanesHeight(w Workload) vg.Length { return vg.Length(max(1, len(w.Pods)))*laneHeight + axisHeight }

// split cuts a strip of that height off the top.
func split(c draw.Canvas, height vg.Length) (strip, rest draw.Canvas) {
	all := c.Max.Y - c.Min.Y
	return draw.Crop(c, 0, 0, all-height, 0), draw.Crop(c, 0, 0, 0, -height)
}

// drawPanels gives all plots the same left edge, so that one moment has one place in all of them.
func drawPanels(s Scenario, workloads []Workload, panels []draw.Canvas) {
	var plots []*plot.Plot
	var places []draw.Canvas
	for i, w := range workloads {
		title, rest := split(panels[i], titleHeight)
		drawTitle(title, w)
		above, rest := split(rest, requestsHeight)
		below, _ := split(draw.Crop(rest, 0, 0, 0, -lanesGap), lanesHeight(w))
		c := chartOf(s, w)
		plots = append(plots, requestsPlot(c), lanesPlot(c))
		places = append(places, above, below)
	}
	var left vg.Length
	for i, p := range plots {
		left = max(left, p.DataCanvas(places[i]).Min.X-places[i].Min.X)
	}
	for i, p := range plots {
		own := p.DataCanvas(places[i]).Min.X - places[i].Min.X
		p.Draw(draw.Crop(places[i], left-own, 0, 0, 0))
	}
}

// drawTitle says what to look for before one has looked.
func drawTitle(c draw.Canvas, w Workload) {
	t := tallyOf(w)
	result := thousands(t.Lost) + " of " + thousands(t.Requests) + " requests lost"
	if t.Unpromised > 0 {
		result += fmt.Sprintf(", and %s by clients to whom nothing is promised", thousands(t.Unpromised))
	}
	name, style := ink(9.5).bold(), ink(9.5).bold()
	if t.Lost > 0 {
		style.Color = lossColor
	}
	room := c.Max.X - c.Min.X - style.Width(result) - 12
	text := cut(name, clean(w.Title), room)
	write(c, name, c.Min.X, c.Max.Y, text)
	write(c, style, c.Min.X+name.Width(text)+8, c.Max.Y, result)
}

// basePlot has the time axis that both plots of a panel share.
func basePlot(c chart) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = color.Transparent
	p.X.Min, p.X.Max = 0, max(c.Length, 1)
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Padding = 0
		axis.Width = 0
		axis.Tick.Color = gridColor
		axis.Tick.Label.Color = softColor
		axis.Tick.Label.Font = ink(8).Font
	}
	return p
}

func requestsPlot(c chart) *plot.Plot {
	p := basePlot(c)
	p.X.Tick.Marker = plot.ConstantTicks(nil)
	p.Y.Tick.Length = 0
	most := 1.0
	for _, s := range c.Seconds {
		most = max(most, s[1]+s[2])
	}
	// Room above the line for how many were lost, and for the events' texts.
	p.Y.Min, p.Y.Max = 0, most*1.45
	p.Y.Tick.Marker = plot.TickerFunc(func(_, _ float64) []plot.Tick { return roundTicks(most) })
	p.Y.Label.Text = "requests/s"
	p.Y.Label.TextStyle.Font = ink(8).Font
	p.Y.Label.TextStyle.Color = softColor
	p.Add(gridMark{roundTicks(most)}, settlingMark{c}, answeredMark{c}, eventMark{c, true}, lostMark{c})
	return p
}

func lanesPlot(c chart) *plot.Plot {
	p := basePlot(c)
	p.X.Tick.Marker = plot.TickerFunc(func(_, most float64) []plot.Tick {
		ticks := roundTicks(most)
		for i := range ticks {
			ticks[i].Label += " s"
		}
		return ticks
	})
	lanes := max(1, len(c.Pods))
	p.Y.Min, p.Y.Max = -float64(lanes), 0 // the first lane on top
	p.Y.Tick.Length = 0
	var names []plot.Tick
	for i, pod := range c.Pods {
		// Centred by the line's height, letters look too high.
		names = append(names, plot.Tick{Value: -float64(i) - 0.6, Label: clean(pod.Short)})
	}
	p.Y.Tick.Marker = plot.ConstantTicks(names)
	p.Y.Tick.Label.Font = ink(7.5).Font
	p.Add(settlingMark{c}, eventMark{c, false}, podMark{c})
	return p
}

// roundTicks are about five round numbers from 0 to most.
func roundTicks(most float64) []plot.Tick {
	step := 1.0
	for steps := []float64{2, 2.5, 2}; most/step > 6; steps = append(steps[1:], steps[0]) {
		step *= steps[0]
	}
	var ticks []plot.Tick
	for v := 0.0; v <= most; v += step {
		ticks = append(ticks, plot.Tick{Value: v, Label: thousands(int(v))})
	}
	return ticks
}
