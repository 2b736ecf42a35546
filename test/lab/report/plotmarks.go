package report

import (
	"image/color"
	"math"

	"golang.org/x/image/font"
	"gonum.org/v1/plot"
	plotfont "gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// The colors of the page's light scheme. They differ in lightness too, for readers with a color vision deficiency.
var (
	inkColor      = color.RGBA{0x1b, 0x1f, 0x24, 0xff}
	softColor     = color.RGBA{0x57, 0x60, 0x6a, 0xff}
	gridColor     = color.RGBA{0xe3, 0xe6, 0xea, 0xff}
	settlingColor = color.RGBA{0xee, 0xf0, 0xf3, 0xff}
	eventColor    = color.RGBA{0x3d, 0x46, 0x52, 0xff}
	areaColor     = color.RGBA{0x9c, 0xc3, 0xe6, 0xff}
	areaLineColor = color.RGBA{0x2b, 0x6c, 0xb0, 0xff}
	lossColor     = color.RGBA{0xd4, 0x00, 0x1a, 0xff}
	startingColor = color.RGBA{0x8a, 0x93, 0xa0, 0xff}
	phaseColors   = map[phase]color.Color{
		ready:     color.RGBA{0x8f, 0xbf, 0xe8, 0xff},
		draining:  color.RGBA{0xf2, 0xb6, 0x32, 0xff},
		finishing: color.RGBA{0x6b, 0x46, 0xa8, 0xff},
	}
)

// textStyle is the font and the color of a text. The anchor of the text is its top left corner.
type textStyle struct{ text.Style }

func newTextStyle(points vg.Length) textStyle {
	return textStyle{text.Style{
		Color: inkColor, Font: plotfont.Font{Typeface: "Liberation", Variant: "Sans", Size: points}, YAlign: text.YTop, Handler: plot.DefaultTextHandler,
	}}
}

func (s textStyle) bold() textStyle {
	s.Font.Weight = font.WeightBold
	return s
}

func (s textStyle) colored(c color.Color) textStyle {
	s.Color = c
	return s
}

func (s textStyle) centered() textStyle {
	s.XAlign, s.YAlign = text.XCenter, text.YCenter
	return s
}

func write(c draw.Canvas, s textStyle, x, y vg.Length, words string) {
	c.FillText(s.Style, vg.Point{X: x, Y: y}, words)
}

func box(c draw.Canvas, fill color.Color, x0, y0, x1, y1 vg.Length) {
	c.FillPolygon(fill, []vg.Point{{X: x0, Y: y0}, {X: x1, Y: y0}, {X: x1, Y: y1}, {X: x0, Y: y1}})
}

func line(c draw.Canvas, stroke color.Color, width, x0, y0, x1, y1 vg.Length) {
	c.StrokeLine2(draw.LineStyle{Color: stroke, Width: width}, x0, y0, x1, y1)
}

// dashedBox draws a dashed outline, for a pod that does not serve yet.
func dashedBox(c draw.Canvas, x0, y0, x1, y1 vg.Length) {
	style := draw.LineStyle{Color: startingColor, Width: 0.75, Dashes: []vg.Length{2, 1.5}}
	c.StrokeLines(style, []vg.Point{{X: x0, Y: y0}, {X: x1, Y: y0}, {X: x1, Y: y1}, {X: x0, Y: y1}, {X: x0, Y: y0}})
}

// diamond draws a mark with a white rim, which makes it visible on any background and next to other marks.
func diamond(c draw.Canvas, x, y, radius vg.Length) {
	for _, layer := range []struct {
		fill   color.Color
		radius vg.Length
	}{{color.White, radius + 0.75}, {lossColor, radius}} {
		c.FillPolygon(layer.fill, []vg.Point{{X: x - layer.radius, Y: y}, {X: x, Y: y + layer.radius}, {X: x + layer.radius, Y: y}, {X: x, Y: y - layer.radius}})
	}
}

type gridMark struct{ ticks []plot.Tick }

func (m gridMark) Plot(c draw.Canvas, p *plot.Plot) {
	_, y := p.Transforms(&c)
	for _, t := range m.ticks {
		line(c, gridColor, 0.5, c.Min.X, y(t.Value), c.Max.X, y(t.Value))
	}
}

// settlingMark is a grey background from a change until the workload is settled.
type settlingMark struct{ chart }

func (m settlingMark) Plot(c draw.Canvas, p *plot.Plot) {
	x, _ := p.Transforms(&c)
	for _, e := range m.Events {
		if e.Settled > e.At {
			box(c, settlingColor, max(x(e.At), c.Min.X), c.Min.Y, min(x(e.Settled), c.Max.X), c.Max.Y)
		}
	}
}

// answeredMark is the area of the answered requests, with the area of the lost requests on top.
type answeredMark struct{ chart }

func (m answeredMark) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	area := func(from, to func(s [3]float64) float64) (outline, top []vg.Point) {
		var bottom []vg.Point
		for _, s := range m.Seconds {
			// Each second has a begin and an end, because there was no load after the last second.
			for _, at := range []float64{max(0, s[0]), min(max(0, s[0]+1), m.Length)} {
				top = append(top, vg.Point{X: x(at), Y: y(to(s))})
				bottom = append(bottom, vg.Point{X: x(at), Y: y(from(s))})
			}
		}
		outline = append(outline, top...)
		for i := len(bottom) - 1; i >= 0; i-- {
			outline = append(outline, bottom[i])
		}
		return outline, top
	}
	if len(m.Seconds) == 0 {
		return
	}
	zero := func([3]float64) float64 { return 0 }
	answered := func(s [3]float64) float64 { return s[1] }
	outline, top := area(zero, answered)
	c.FillPolygon(areaColor, outline)
	c.StrokeLines(draw.LineStyle{Color: areaLineColor, Width: 0.9}, top)
	outline, _ = area(answered, func(s [3]float64) float64 { return s[1] + s[2] })
	c.FillPolygon(lossColor, outline)
}

// lostMark marks each second with lost requests, because its area may be too thin to see, and writes the numbers of lost requests.
type lostMark struct{ chart }

func (m lostMark) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for _, s := range m.Seconds {
		if s[2] > 0 {
			diamond(c, x(min(max(0, s[0]+0.5), m.Length)), y(s[1]+s[2]), vg.Length(2.2+min(2, math.Sqrt(s[2])/8)))
		}
	}
	style := newTextStyle(8).bold().colored(lossColor).centered()
	for _, l := range clustersOf(m.chart) {
		half := style.Width(l.String())/2 + 1
		at := x((l.From + l.To + 1) / 2)
		for _, e := range m.Events {
			if mark := x(e.At); mark > at-half && mark < at {
				at = mark + half + 2 // beside the line of the event
			}
		}
		write(c, style, min(max(at, c.Min.X+half), c.Max.X-half), y(l.Top)+10, l.String())
	}
}

// closeEvents is the distance below which there is no room for a text between two events.
const closeEvents = 14 * vg.Length(1)

// eventMark is a line at each change with the text of the change.
type eventMark struct {
	chart
	texts bool
}

func (m eventMark) Plot(c draw.Canvas, p *plot.Plot) {
	x, _ := p.Transforms(&c)
	style := newTextStyle(8).bold().colored(eventColor)
	for _, e := range m.Events {
		line(c, eventColor, 0.75, x(e.At), c.Min.Y, x(e.At), c.Max.Y)
	}
	if !m.texts {
		return
	}
	texts := eventTexts(m.chart, m.Length*float64(closeEvents/(c.Max.X-c.Min.X)))
	for i, t := range texts {
		end := c.Max.X
		if i+1 < len(texts) {
			end = x(texts[i+1].From)
		}
		write(c, style, x(t.At)+3, c.Max.Y-1, shorten(style, printable(t.Text), end-x(t.At)-5))
	}
}

// podMark draws a lane for each pod, with the phases of the pod, t2, t1, t3 and the losses.
type podMark struct{ chart }

func (m podMark) Plot(c draw.Canvas, p *plot.Plot) {
	xOf, y := p.Transforms(&c)
	x := func(at float64) vg.Length { return min(max(xOf(at), c.Min.X), c.Max.X) }
	for i, pod := range m.Pods {
		top, bottom := y(-float64(i))-2, y(-float64(i)-1)+2
		for _, b := range pod.Bands {
			switch {
			case b.To <= 0 || b.From >= m.Length: // outside the plot
			case b.Phase == starting:
				dashedBox(c, x(b.From), bottom+0.4, x(b.To), top-0.4)
			default:
				box(c, phaseColors[b.Phase], x(b.From), bottom, max(x(b.To), x(b.From)+0.75), top)
			}
		}
		m.drawDeadlines(c, pod, x, bottom, top)
	}
	for _, l := range m.Losses {
		at, mid, half := x(l.At), y(-float64(l.Pod)-0.5), laneHeight/2-0.5
		if l.Guessed {
			half /= 2
		}
		box(c, color.White, at-1.1, mid-half, at+1.1, mid+half) // a white rim, because red on purple has little contrast
		box(c, lossColor, at-0.75, mid-half, at+0.75, mid+half)
	}
}
