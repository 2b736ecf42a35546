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

// pageTemplate is the template of the page. page.js makes the options of the charts from JSON data. go-echarts would generate JavaScript, in which a
// marker within strings ("__f__") separates code from data, so the name of a pod could become code. Also, only the browser knows colors and sizes.
var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"thousands": Thousands, "share": share, "latency": latency, "outcome": outcome, "seconds": seconds,
	"arrows": arrows,
	"cut": func(cell string) []string {
		lost, requests, _ := strings.Cut(cell, " of ")
		return []string{lost, requests}
	},
	"inc":    func(i int) int { return i + 1 },
	"dec":    func(i int) int { return i - 1 },
	"last":   func(rows [][]string) []string { return rows[len(rows)-1] },
	"lostIn": func(cell string) bool { return cell != "" && cell[0] != '0' },
}).Parse(pageHTML))

// Page writes a run as an HTML file that needs no server and no network. echarts is the content of echarts.min.js, in the version of the lock file in
// web/.
func Page(w io.Writer, run Run, echarts []byte) error {
	// Only these two texts end or change a <script> element, and they cannot be escaped.
	if lower := bytes.ToLower(echarts); len(echarts) == 0 || bytes.Contains(lower, []byte("</script")) || bytes.Contains(lower, []byte("<!--")) {
		return errors.New("echarts.min.js is empty, or contains a text that is not allowed in a script element")
	}
	view := pageView{
		Headline: headlineOf(run), Caption: caption(run), Footnote: footnote(run), Legend: legend, Columns: workloadColumns(run),
		Summary: summaryCells(run, slices.Collect(slices.Chunk(run.Scenarios, 1))),             // each scenario has a timeline
		CSS:     template.CSS(pageCSS), ECharts: template.JS(echarts), JS: template.JS(pageJS), //nolint:gosec // trusted: part of this repository, and a pinned library
		Policy: policy(echarts, []byte(pageJS)),
	}
	open := firstOpen(run)
	for i, s := range run.Scenarios {
		section := sectionView{Scenario: s, Index: i, Open: i == open, Lines: verdict(s)[1:]}
		var charts []chart
		for _, workload := range inDisplayOrder(s.Workloads) {
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

// pageView has the data of the template, which escapes all texts of the run.
type pageView struct {
	Headline                  headline
	Caption, Footnote, Legend string
	Columns                   []workloadColumn
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

// panelView has the data of one workload in one scenario.
type panelView struct {
	Workload
	Tally   tally
	Settled string
	Events  []Event
	Groups  []lossGroup
	Omitted int // groups that are left out
	// Unlisted is the number of losses that are only in the rows.
	Unlisted int
}

func panelOf(s Scenario, w Workload) panelView {
	p := panelView{Workload: w, Tally: tallyOf(w), Events: s.eventsOf(w)}
	p.Settled = settled(p.Events)
	p.Groups, p.Omitted = lossGroups(s, w)
	p.Unlisted = max(0, w.Total().Lost-len(w.Losses))
	return p
}

// firstOpen returns the scenario that is open at first: the first one with the worst result.
func firstOpen(run Run) int {
	open := 0
	for i, s := range run.Scenarios {
		if s.Result().worse(run.Scenarios[open].Result()) {
			open = i
		}
	}
	return open
}

// policy returns a Content-Security-Policy that allows only the given scripts and no network address. It makes an unescaped text harmless.
func policy(scripts ...[]byte) string {
	out := "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src 'unsafe-inline'; script-src"
	for _, s := range scripts {
		sum := sha256.Sum256(s)
		out += " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return out
}
