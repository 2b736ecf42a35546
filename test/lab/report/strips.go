package report

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/template"
)

//go:embed strips/strips.svg
var stripsSVG string

// stripsTemplate is the template of the picture. Numbers need no escaping; the template escapes every text that comes from a run.
var stripsTemplate = template.Must(template.New("strips").Parse(stripsSVG))

// The layout in pixels. The picture is narrow and its letters are large, because a telephone shows it at half its size.
const (
	stripsWidth  = 680
	stripsLeft   = 16
	stripsRight  = stripsWidth - 16
	headHeight   = 44
	stripHeight  = 178 // with the title above the area and the room below it
	stripBase    = 164 // the lower edge of the area
	areaHeight   = 92  // of the second with most requests
	ticksHeight  = 26
	legendWidth  = 244
	letterWidth  = 6.7 // the mean of a sans-serif font of 14 pixels, with some reserve
	eventsApart  = 74  // room for "scale to 5"
	numbersApart = 75  // room for "88 lost"
)

// stripColors are the colors of a scheme.
type stripColors struct{ Background, Ink, Soft, Answered, Lost string }

var (
	lightColors = stripColors{Background: "#ffffff", Ink: "#1c1e26", Soft: "#555b66", Answered: "#90bfe8", Lost: "#c8102e"}
	darkColors  = stripColors{Background: "#15171c", Ink: "#e8eaf0", Soft: "#a7adba", Answered: "#3a78ad", Lost: "#ff6b7d"}
)

// stripsView is the data of the template.
type stripsView struct {
	Title                                               string
	Width, Height, Left, Right, Base, LegendAt, TicksAt int
	Colors                                              stripColors
	Strips                                              []stripView
	Ticks                                               []stripText
}

type stripView struct {
	Title, Result          string
	Lost                   bool
	Top                    int
	AnsweredPath, LostPath string
	Events, Losses         []stripText
}

type stripText struct {
	X    int
	Text string
}

// Strips draws a scenario as an SVG: the answered and the lost requests of each second, for the first workload and the control.
func Strips(w io.Writer, s Scenario, isDark bool) error {
	workloads := inDisplayOrder(s.Workloads)
	workloads = workloads[:min(2, len(workloads))]
	if len(workloads) == 0 {
		return errors.New("drawing the scenario " + s.Name + ": it has no workload")
	}
	length := max(s.End.Sub(s.Begin).Seconds(), 1)
	x := func(at float64) float64 {
		return stripsLeft + (stripsRight-stripsLeft)*min(max(at/length, 0), 1)
	}
	view := stripsView{
		Title: arrows(printable(s.Title)), Width: stripsWidth, Height: headHeight + len(workloads)*stripHeight + ticksHeight,
		Left: stripsLeft, Right: stripsRight, Base: stripBase, LegendAt: stripsRight - legendWidth,
		TicksAt: headHeight + len(workloads)*stripHeight + 4, Colors: lightColors, Ticks: ticks(length, x),
	}
	if isDark {
		view.Colors = darkColors
	}
	for i, workload := range workloads {
		view.Strips = append(view.Strips, stripOf(s, workload, headHeight+i*stripHeight, x))
	}
	if err := stripsTemplate.Execute(w, view); err != nil {
		return fmt.Errorf("drawing the scenario %s: %w", s.Name, err)
	}
	return nil
}

func stripOf(s Scenario, w Workload, top int, x func(float64) float64) stripView {
	c, t := chartOf(s, w), tallyOf(w)
	strip := stripView{
		Title: printable(w.Title), Result: fmt.Sprintf("%s of %s requests lost", Thousands(t.Lost), Thousands(t.Requests)), Lost: t.Lost > 0, Top: top,
		Losses: lossTexts(c, x), Events: eventTexts(c, x),
	}
	most := 1.0
	for _, second := range c.Seconds {
		most = max(most, second[1]+second[2])
	}
	y := func(n float64) string { return strconv.FormatFloat(stripBase-areaHeight*n/most, 'f', 1, 64) }
	var answered, lost strings.Builder
	for _, second := range c.Seconds {
		from, to := x(second[0]), x(second[0]+1)
		fmt.Fprintf(&answered, "M%.1f %dV%sH%.1fV%dz", from, stripBase, y(second[1]), to, stripBase)
		if second[2] > 0 {
			fmt.Fprintf(&lost, "M%.1f %sV%sH%.1fV%sz", from, y(second[1]), y(second[1]+second[2]), to, y(second[1]))
		}
	}
	strip.AnsweredPath, strip.LostPath = answered.String(), lost.String()
	return strip
}
