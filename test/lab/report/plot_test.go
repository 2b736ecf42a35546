package report

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// drawn returns the upper and the lower panel of a scenario's picture. It leaves out the legend, which has all colors.
func drawn(t *testing.T, s Scenario) (above, below image.Image) {
	t.Helper()
	var out bytes.Buffer
	if err := Picture(&out, s); err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(&out)
	if err != nil {
		t.Fatal(err)
	}
	pixels := func(points float64) int { return int(points * pictureDPI / 72) }
	top := pixels(float64(margin + headHeight))
	end := picture.Bounds().Max.Y - pixels(float64(margin+legendHeight))
	middle := top + pixels(float64(panelHeight(picturedWorkloads(s)[0])))
	cropper := picture.(interface {
		SubImage(r image.Rectangle) image.Image
	})
	width := picture.Bounds().Max.X
	return cropper.SubImage(image.Rect(0, top, width, middle)), cropper.SubImage(image.Rect(0, middle, width, end))
}

// perColumn counts the pixels of exactly this color in each column.
func perColumn(picture image.Image, c color.RGBA) []int {
	bounds := picture.Bounds()
	counts := make([]int, bounds.Max.X)
	for x := range counts {
		for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
			if picture.(*image.RGBA).RGBAAt(x, y) == c { // the type of a decoded PNG without transparency
				counts[x]++
			}
		}
	}
	return counts
}

// columnsOf returns the columns that have at least the given number of pixels of a color.
func columnsOf(picture image.Image, c color.RGBA, pixels int) []int {
	var found []int
	for x, n := range perColumn(picture, c) {
		if n >= pixels {
			found = append(found, x)
		}
	}
	return found
}

func TestPictureShowsLosses(t *testing.T) {
	above, below := drawn(t, sampleRun().Scenarios[0])
	if n := len(columnsOf(above, lossColor, 1)); n != 0 {
		t.Errorf("%d columns are red where nothing was lost", n)
	}
	if n := len(columnsOf(below, lossColor, 20)); n < 20 {
		t.Errorf("only %d columns are red where hundreds were lost", n)
	}
}

// lossless returns a scenario without losses, to which a test can add some.
func lossless() Scenario {
	s := sampleRun().Scenarios[0]
	for i := range s.Workloads {
		w := &s.Workloads[i]
		w.Losses, w.Rows = nil, nil
		for j := range w.Seconds {
			w.Seconds[j].Answered, w.Seconds[j].Lost = w.Seconds[j].Requests, 0
		}
	}
	return s
}

func TestPictureMarksEachLosingSecond(t *testing.T) {
	s := lossless()
	red := func(lost ...int) int {
		for i, n := range lost {
			second := &s.Workloads[0].Seconds[20+i]
			second.Answered, second.Lost = second.Requests-n, n
		}
		above, _ := drawn(t, s)
		n := 0
		for _, pixels := range perColumn(above, lossColor) {
			n += pixels
		}
		return n
	}
	none, one, two := red(0, 0), red(2, 0), red(1, 1)
	if none != 0 || one == 0 {
		t.Errorf("%d pixels are red if nothing was lost, %d if two requests of a second were", none, one)
	}
	// Both pictures have the text "2 lost". A mark has somewhat more than 40 pixels.
	if two < one+40 {
		t.Errorf("%d pixels are red if one second lost two requests, %d if two lost one each", one, two)
	}
}

func TestPictureShowsThePhases(t *testing.T) {
	above, _ := drawn(t, sampleRun().Scenarios[0])
	widths := map[phase]int{}
	for p, c := range phaseColors {
		widths[p] = len(columnsOf(above, c.(color.RGBA), 10))
	}
	// The preStop hook takes 5 s, and the shutdown about 1 s.
	if widths[ready] < 1000 || widths[draining] < 40 || widths[finishing] < 8 || widths[finishing] > widths[draining] {
		t.Errorf("columns of the phases: %v", widths)
	}
}

func TestPictureShowsKilledPods(t *testing.T) {
	s := sampleRun().Scenarios[1]
	w := &s.Workloads[3]
	w.Losses, w.Rows, w.Seconds = nil, nil, nil // nothing else is red
	_, with := drawn(t, s)
	for i := range w.Pods {
		w.Pods[i].ExitCode = nil
	}
	_, without := drawn(t, s)
	if a, b := len(columnsOf(with, lossColor, 1)), len(columnsOf(without, lossColor, 1)); a == 0 || b != 0 {
		t.Errorf("%d columns are red with killed pods, %d without", a, b)
	}
}

func TestPictureHasOneTimeAxis(t *testing.T) {
	s := sampleRun().Scenarios[0]
	s.Events = slices.DeleteFunc(s.Events, func(e Event) bool { return e.Workload != "aware" })
	for i := range s.Events {
		s.Events[i].Workload = ""
	}
	for i := range s.Workloads[0].Seconds {
		s.Workloads[0].Seconds[i].Answered *= 1000 // makes the labels of the axis wider
	}
	above, below := drawn(t, s)
	at := columnsOf(above, eventColor, 200)
	if len(at) < len(s.Events) {
		t.Fatalf("%d events, seen in columns %v", len(s.Events), at)
	}
	if diff := cmp.Diff(at, columnsOf(below, eventColor, 200)); diff != "" {
		t.Errorf("events of the same moment (-above +below):\n%s", diff)
	}
}

func TestPictureEndsTheLoadWhereItEnded(t *testing.T) {
	s := sampleRun().Scenarios[0]
	above, _ := drawn(t, s)
	whole := len(columnsOf(above, areaColor, 50))
	seconds := len(s.Workloads[0].Seconds)
	s.Workloads[0].Seconds = s.Workloads[0].Seconds[:seconds/2]
	above, _ = drawn(t, s)
	if half := len(columnsOf(above, areaColor, 50)); half < whole*45/100 || half > whole*55/100 {
		t.Errorf("load in %d columns, in %d if it had ended at half time", whole, half)
	}
}

func TestPictureOfLittle(t *testing.T) {
	at := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	for name, s := range map[string]Scenario{
		"no data":                 {Begin: at, End: at, Workloads: []Workload{{Name: "aware"}, {Name: "naive", Control: true}}},
		"only a control":          {Begin: at, End: at.Add(time.Minute), Workloads: []Workload{{Name: "naive", Control: true}}},
		"events before and after": {Begin: at, End: at.Add(time.Second), Events: []Event{{At: at.Add(-time.Hour), Text: "x"}, {At: at.Add(time.Hour), Text: "y"}}, Workloads: []Workload{{}}},
		"hostile":                 sampleRun().Scenarios[2],
	} {
		if err := Picture(&bytes.Buffer{}, s); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := Picture(&bytes.Buffer{}, Scenario{Name: "none"}); err == nil {
		t.Error("a scenario without a workload is drawn")
	}
}

func TestClustersCountEachLoss(t *testing.T) {
	c := chart{Length: 60, Seconds: [][3]float64{{-0.3, 9, 1}, {1.7, 9, 2}, {2.7, 9, 0}, {20, 9, 3}, {59, 9, 4}}}
	want := []cluster{{0, 1.7, 3, 11}, {20, 20, 3, 12}, {59, 59, 4, 13}}
	if diff := cmp.Diff(want, clustersOf(c)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestClustersEnd(t *testing.T) {
	c := chart{Length: 60}
	for i := range 60 {
		c.Seconds = append(c.Seconds, [3]float64{float64(i), 9, 1})
	}
	sum, all := 0, clustersOf(c)
	for _, one := range all {
		sum += one.Lost
	}
	if len(all) < 4 || sum != 60 {
		t.Errorf("a loss in each of 60 seconds is told by %d numbers that make %d", len(all), sum)
	}
}

func TestEventTexts(t *testing.T) {
	c := chart{Length: 60, Events: []chartEvent{{At: 1, Text: "scale to 6"}, {At: 1.5, Text: "kill the operator"}, {At: 30, Text: "scale to 2"}}}
	want := []eventText{{1, 1.5, "scale to 6, kill the operator"}, {30, 30, "scale to 2"}}
	if diff := cmp.Diff(want, eventTexts(c, 2)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	style := newTextStyle(8)
	room := style.Width("…e to 6")
	if got := shorten(style, "scale to 6", room); got != "…to 6" {
		t.Errorf("%q", got)
	}
	if got := shorten(style, "kill the operator", room); !strings.HasPrefix(got, "k") || style.Width(got) > room {
		t.Errorf("%q", got)
	}
	if got := shorten(style, "scale to 6", 0); got != "" {
		t.Errorf("%q without any room", got)
	}
}

func TestRoundTicks(t *testing.T) {
	for most, want := range map[float64][]string{
		1:      {"0", "1"},
		7:      {"0", "2", "4", "6"},
		96:     {"0", "20", "40", "60", "80"},
		250:    {"0", "50", "100", "150", "200", "250"},
		1642:   {"0", "500", "1,000", "1,500"},
		123456: {"0", "50,000", "100,000"},
	} {
		var got []string
		for _, tick := range roundTicks(most) {
			got = append(got, tick.Label)
		}
		if !slices.Equal(got, want) {
			t.Errorf("up to %v: %q, want %q", most, got, want)
		}
	}
}
