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

// The picture is 800 CSS pixels (1/96 inch) wide, at twice the resolution.
const (
	pictureWidth = 600 * vg.Length(1) // points
	pictureDPI   = 192

	margin         = 8 * vg.Length(1)
	headHeight     = 20 * vg.Length(1) // the scenario's title
	titleHeight    = 16 * vg.Length(1) // a panel's
	requestsHeight = 92 * vg.Length(1)
	lanesGap       = 5 * vg.Length(1) // otherwise the 0 of the axis touches the first pod's name
	laneHeight     = 10 * vg.Length(1)
	axisHeight     = 22 * vg.Length(1)
	panelGap       = 8 * vg.Length(1)
	legendHeight   = 18 * vg.Length(1)
)

// Picture draws a scenario as a PNG: the first workload above, the control below. The background is always white, because an image does not know the
// color scheme of its document.
func Picture(w io.Writer, s Scenario) error {
	workloads := picturedWorkloads(s)
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
	write(head, newTextStyle(10.5).bold(), head.Min.X, head.Max.Y, truncate(newTextStyle(10.5).bold(), printable(s.Title), head.Max.X-head.Min.X))
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

// picturedWorkloads returns the first workload and the control. A scenario may lack one of them.
func picturedWorkloads(s Scenario) []Workload {
	all := inDisplayOrder(s.Workloads)
	return all[:min(2, len(all))]
}

func panelHeight(w Workload) vg.Length {
	return titleHeight + requestsHeight + lanesGap + lanesHeight(w) + panelGap
}

func lanesHeight(w Workload) vg.Length { return vg.Length(max(1, len(w.Pods)))*laneHeight + axisHeight }

// split divides a canvas into a strip of the given height at the top and the rest.
func split(c draw.Canvas, height vg.Length) (strip, rest draw.Canvas) {
	all := c.Max.Y - c.Min.Y
	return draw.Crop(c, 0, 0, all-height, 0), draw.Crop(c, 0, 0, 0, -height)
}

// drawPanels draws all plots with the same left edge, so that their time axes are aligned.
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

// drawTitle draws the name of the workload and the number of its lost requests.
func drawTitle(c draw.Canvas, w Workload) {
	t := tallyOf(w)
	result := thousands(t.Lost) + " of " + thousands(t.Requests) + " requests lost"
	if t.Unpromised > 0 {
		result += fmt.Sprintf(", and %s by clients without a promise", thousands(t.Unpromised))
	}
	name, style := newTextStyle(9.5).bold(), newTextStyle(9.5).bold()
	if t.Lost > 0 {
		style.Color = lossColor
	}
	room := c.Max.X - c.Min.X - style.Width(result) - 12
	text := truncate(name, printable(w.Title), room)
	write(c, name, c.Min.X, c.Max.Y, text)
	write(c, style, c.Min.X+name.Width(text)+8, c.Max.Y, result)
}

// basePlot returns a plot with the time axis that both plots of a panel have.
func basePlot(c chart) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = color.Transparent
	p.X.Min, p.X.Max = 0, max(c.Length, 1)
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Padding = 0
		axis.Width = 0
		axis.Tick.Color = gridColor
		axis.Tick.Label.Color = softColor
		axis.Tick.Label.Font = newTextStyle(8).Font
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
	// Room above the line for the numbers of lost requests and the texts of the events.
	p.Y.Min, p.Y.Max = 0, most*1.45
	p.Y.Tick.Marker = plot.TickerFunc(func(_, _ float64) []plot.Tick { return roundTicks(most) })
	p.Y.Label.Text = "requests/s"
	p.Y.Label.TextStyle.Font = newTextStyle(8).Font
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
		// Letters that are centered by the line height look too high.
		names = append(names, plot.Tick{Value: -float64(i) - 0.6, Label: printable(pod.Short)})
	}
	p.Y.Tick.Marker = plot.ConstantTicks(names)
	p.Y.Tick.Label.Font = newTextStyle(7.5).Font
	p.Add(settlingMark{c}, eventMark{c, false}, podMark{c})
	return p
}

// roundTicks returns about five round numbers from 0 to most.
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
