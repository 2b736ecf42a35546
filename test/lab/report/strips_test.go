package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// drawn returns a scenario's picture, and fails if it is not well-formed.
func drawn(t *testing.T, s Scenario, isDark bool) string {
	t.Helper()
	var out bytes.Buffer
	if err := Strips(&out, s, isDark); err != nil {
		t.Fatal(err)
	}
	picture := out.String()
	for decoder := xml.NewDecoder(&out); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return picture
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, picture)
		}
		if element, ok := token.(xml.StartElement); ok && (element.Name.Local == "script" || element.Name.Local == "img") {
			t.Errorf("the picture has an element %s", element.Name.Local)
		}
	}
}

func TestStripsShowLosses(t *testing.T) {
	s := sampleRun().Scenarios[0]
	picture := drawn(t, s, false)
	for _, w := range inDisplayOrder(s.Workloads)[:2] {
		sum := tallyOf(w)
		if want := Thousands(sum.Lost) + " of " + Thousands(sum.Requests) + " requests lost"; !strings.Contains(picture, want) {
			t.Errorf("the picture does not say %q", want)
		}
	}
	if n := strings.Count(picture, `<path fill="`+lightColors.Lost+`"`); n != 1 {
		t.Errorf("%d workloads have lost requests, want only the control", n)
	}
	if dark := drawn(t, s, true); strings.Contains(dark, lightColors.Lost) || !strings.Contains(dark, darkColors.Lost) {
		t.Error("the dark picture has light colors")
	}
}

func TestStripsOfUnusualScenarios(t *testing.T) {
	at := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	for name, s := range map[string]Scenario{
		"no data":                 {Begin: at, End: at, Workloads: []Workload{{Name: "aware"}, {Name: "naive", Control: true}}},
		"only a control":          {Begin: at, End: at.Add(time.Minute), Workloads: []Workload{{Name: "naive", Control: true}}},
		"events before and after": {Begin: at, End: at.Add(time.Second), Events: []Event{{At: at.Add(-time.Hour), Text: "x"}, {At: at.Add(time.Hour), Text: "y"}}, Workloads: []Workload{{}}},
		"hostile texts":           sampleRun().Scenarios[2],
	} {
		t.Run(name, func(t *testing.T) { drawn(t, s, false) })
	}
	if err := Strips(&bytes.Buffer{}, Scenario{Name: "none"}, false); err == nil {
		t.Error("a scenario without a workload is drawn")
	}
}

func TestLossTextsCountEachLoss(t *testing.T) {
	x := func(at float64) float64 { return 5 * at }
	c := chart{Seconds: [][3]float64{{-0.3, 9, 1}, {1.7, 9, 2}, {2.7, 9, 0}, {20, 9, 3}, {59, 9, 4}}}
	want := []stripText{{1, "3 lost"}, {102, "3 lost"}, {297, "4 lost"}}
	if diff := cmp.Diff(want, lossTexts(c, x)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	c = chart{}
	for i := range 60 {
		c.Seconds = append(c.Seconds, [3]float64{float64(i), 9, 1})
	}
	if all := lossTexts(c, x); len(all) != 4 {
		t.Errorf("a loss in each of 60 seconds gives the texts %v, want 4", all)
	}
}

func TestEventTexts(t *testing.T) {
	x := func(at float64) float64 { return 10 * at }
	c := chart{Events: []chartEvent{{At: 1, Text: "scale to 6"}, {At: 1.5, Text: "kill the operator"}, {At: 10, Text: "scale to 2"}, {At: 62, Text: "scale to 3"}}}
	want := []stripText{{10, "scale to 6,…"}, {100, "scale to 2"}, {620, "scal…"}}
	if diff := cmp.Diff(want, eventTexts(c, x)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTicks(t *testing.T) {
	x := func(at float64) float64 { return at }
	for length, want := range map[float64][]stripText{
		1:   nil,
		25:  {{10, "10 s"}, {20, "20 s"}},
		123: {{50, "50 s"}, {100, "100 s"}},
		700: {{200, "200 s"}, {400, "400 s"}, {600, "600 s"}},
	} {
		if diff := cmp.Diff(want, ticks(length, x)); diff != "" {
			t.Errorf("%v s (-want +got):\n%s", length, diff)
		}
	}
}
