package report

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"math"
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
		Title: printable(w.Title), Result: fmt.Sprintf("%s of %s requests lost", thousands(t.Lost), thousands(t.Requests)), Lost: t.Lost > 0, Top: top,
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

// eventTexts returns a text for each event. It joins the texts of events that are too close to each other, and shortens them to the room that they have.
func eventTexts(c chart, x func(float64) float64) []stripText {
	var all []stripText
	for _, e := range c.Events {
		if n := len(all); n > 0 && x(e.At)-float64(all[n-1].X) < eventsApart {
			all[n-1].Text += ", " + printable(e.Text)
			continue
		}
		all = append(all, stripText{X: int(x(e.At)), Text: printable(e.Text)})
	}
	for i := range all {
		end := stripsRight
		if i+1 < len(all) {
			end = all[i+1].X
		}
		all[i].Text = shorten(all[i].Text, int(float64(end-all[i].X-8)/letterWidth))
	}
	return all
}

// lossTexts returns a number for each group of seconds with losses, because the numbers of seconds that are close to each other would overlap.
func lossTexts(c chart, x func(float64) float64) []stripText {
	var all []stripText
	first, last, sum := 0.0, math.Inf(-1), 0
	add := func() {
		if sum > 0 {
			text := thousands(sum) + " lost"
			all = append(all, stripText{X: int(min(first, stripsRight-letterWidth*float64(len(text)))), Text: text})
		}
	}
	for _, second := range c.Seconds {
		at := x(second[0] + 0.5)
		if second[2] == 0 {
			continue
		}
		if at-last >= numbersApart/2 || at-first >= numbersApart {
			add()
			first, sum = at, 0
		}
		last, sum = at, sum+int(second[2])
	}
	add()
	return all
}

// ticks returns about five round numbers of seconds.
func ticks(length float64, x func(float64) float64) []stripText {
	step := 10.0
	for factors := []float64{2, 2.5, 2}; length/step > 6; factors = append(factors[1:], factors[0]) {
		step *= factors[0]
	}
	var all []stripText
	for at := step; at < length-step/5; at += step {
		all = append(all, stripText{X: int(x(at)), Text: thousands(int(at)) + " s"})
	}
	return all
}

// shorten shortens a text to a number of letters.
func shorten(text string, most int) string {
	letters := []rune(text)
	if len(letters) <= most {
		return text
	}
	return string(letters[:max(0, most-1)]) + "…"
}
