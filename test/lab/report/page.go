package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
)

var (
	//go:embed page/page.html
	pageHTML string
	//go:embed page/page.css
	pageCSS string
	//go:embed page/page.js
	pageJS string
)

// The charts' options are plain ones of ECharts, made by page.js from the data: what go-echarts writes is JavaScript in which data and code are
// told apart by a marker within strings ("__f__"), so a pod's name could become code; and colours and sizes are known to the browser only.
var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"thousands": thousands, "share": share, "latency": latency, "outcome": outcome, "seconds": seconds,
	"arrows": func(text string) string { return strings.ReplaceAll(text, " -> ", " → ") },
	"cut": func(cell string) []string {
		lost, requests, _ := strings.Cut(cell, " of ")
		return []string{lost, requests}
	},
	"inc":    func(i int) int { return i + 1 },
	"dec":    func(i int) int { return i - 1 },
	"last":   func(rows [][]string) []string { return rows[len(rows)-1] },
	"lostIn": func(cell string) bool { return cell != "" && cell[0] != '0' },
}).Parse(pageHTML))

// Page writes a run as one HTML file that needs nothing else: no server, no network. echarts is the text of echarts.min.js; the Makefile gets it
// by the lock file in web/.
func Page(w io.Writer, run Run, echarts []byte) error {
	// Within <script> only these end or confuse it; nothing can escape them from outside.
	if lower := bytes.ToLower(echarts); len(echarts) == 0 || bytes.Contains(lower, []byte("</script")) || bytes.Contains(lower, []byte("<!--")) {
		return errors.New("the text of echarts.min.js is empty or cannot stand in a page")
	}
	view := pageView{
		Headline: headlineOf(run), Caption: caption(run), Footnote: footnote(run), Legend: legend, Sides: sides(run),
		Summary: summaryCells(run, slices.Collect(slices.Chunk(run.Scenarios, 1))),             // each has a timeline
		CSS:     template.CSS(pageCSS), ECharts: template.JS(echarts), JS: template.JS(pageJS), //nolint:gosec // ours, and a pinned library
		Policy: policy(echarts, []byte(pageJS)),
	}
	open := firstOpen(run)
	for i, s := range run.Scenarios {
		section := sectionView{Scenario: s, Index: i, Open: i == open, Lines: verdict(s)[1:]}
		var charts []chart
		for _, workload := range opposed(s.Workloads) {
			section.Panels = append(section.Panels, panelOf(s, workload))
			charts = append(charts, chartOf(s, workload))
		}
		view.Sections = append(view.Sections, section)
		view.Charts = append(view.Charts, charts)
	}
	if err := pageTemplate.Execute(w, view); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	return nil
}

// pageView is all that the template shows. What comes from the run is text; the template escapes it.
type pageView struct {
	Headline                  headline
	Caption, Footnote, Legend string
	Sides                     []side
	Summary                   [][]string
	Sections                  []sectionView
	Charts                    [][]chart
	CSS                       template.CSS
	ECharts, JS               template.JS
	Policy                    string
}

type sectionView struct {
	Scenario
	Index  int
	Open   bool
	Lines  []string // of the verdict
	Panels []panelView
}

// panelView is one workload in one scenario.
type panelView struct {
	Workload
	Tally   tally
	Settled string
	Events  []Event
	Groups  []lossGroup
	Omitted int // groups
	// Unlisted losses are counted in the rows only.
	Unlisted int
}

func panelOf(s Scenario, w Workload) panelView {
	p := panelView{Workload: w, Tally: tallyOf(w), Events: s.eventsOf(w)}
	p.Settled = settled(p.Events)
	p.Groups, p.Omitted = lossGroups(s, w)
	p.Unlisted = max(0, w.Total().Lost-len(w.Losses))
	return p
}

// firstOpen is the scenario that is shown at once: the first of those with the worst result.
func firstOpen(run Run) int {
	open := 0
	for i, s := range run.Scenarios {
		if s.Result().worse(run.Scenarios[open].Result()) {
			open = i
		}
	}
	return open
}

// policy allows exactly the scripts of the page and no address at all, so even a text that slipped through could do nothing.
func policy(scripts ...[]byte) string {
	out := "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src 'unsafe-inline'; script-src"
	for _, s := range scripts {
		sum := sha256.Sum256(s)
		out += " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return out
}
