package report

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// chart is the data of one panel of the page, for page.js. Times are in seconds since the begin of the scenario.
type chart struct {
	Length  float64      `json:"length"`
	Seconds [][3]float64 `json:"seconds"` // time, answered, lost
	Pods    []chartPod   `json:"pods"`
	Events  []chartEvent `json:"events"`
	Losses  []chartLoss  `json:"losses"`
}

type chartPod struct {
	Name  string      `json:"name"`
	Short string      `json:"short"` // for the axis
	Node  string      `json:"node"`
	Bands []chartBand `json:"bands"`
	// Deadlines are the times of the deletion, SIGTERM, the end of t1 and SIGKILL, or empty if the pod was not deleted.
	Deadlines []float64 `json:"deadlines,omitempty"`
	Killed    float64   `json:"killed,omitempty"` // when SIGKILL ended it
	Exit      *int32    `json:"exit,omitempty"`
}

type chartBand struct {
	Phase phase   `json:"phase"`
	From  float64 `json:"from"`
	To    float64 `json:"to"`
}

type chartEvent struct {
	At      float64 `json:"at"`
	Settled float64 `json:"settled,omitempty"`
	Text    string  `json:"text"`
}

// chartLoss counts the requests that a pod lost within one lossInterval.
type chartLoss struct {
	At      float64 `json:"at"`
	Pod     int     `json:"pod"` // index
	Count   int     `json:"count"`
	Guessed bool    `json:"guessed,omitempty"`
}

// lossInterval is the time in which the losses of a pod are drawn as one mark. It is about as wide as the mark, two pixels, on a desktop.
const lossInterval = 250 * time.Millisecond

func chartOf(s Scenario, w Workload) chart {
	since := func(t time.Time) float64 { return math.Round(t.Sub(s.Begin).Seconds()*1000) / 1000 }
	out := chart{
		Length: since(s.End), Seconds: [][3]float64{}, Pods: []chartPod{}, Events: []chartEvent{}, Losses: []chartLoss{},
	}
	for _, second := range w.Seconds {
		out.Seconds = append(out.Seconds, [3]float64{since(second.At), float64(second.Answered), float64(second.Lost)})
	}
	pods := byCreation(w.Pods)
	for _, p := range pods {
		out.Pods = append(out.Pods, chartPodOf(p, w.Timing, s.End, since))
	}
	for _, e := range s.eventsOf(w) {
		event := chartEvent{At: since(e.At), Text: e.Text}
		if e.Settled.After(e.At) {
			event.Settled = since(e.Settled)
		}
		out.Events = append(out.Events, event)
	}
	out.Losses = lossMarks(w.Losses, pods, since)
	return out
}

func chartPodOf(p Pod, t Timing, end time.Time, since func(time.Time) float64) chartPod {
	out := chartPod{Name: p.Name, Short: shortName(p.Name), Node: p.Node, Bands: []chartBand{}, Exit: p.ExitCode}
	for _, b := range bands(p, end) {
		out.Bands = append(out.Bands, chartBand{Phase: b.Phase, From: since(b.From), To: since(b.To)})
	}
	if d, ok := deadlinesOf(p, t); ok {
		out.Deadlines = []float64{since(d.Deleted), since(d.Term), since(d.Shutdown), since(d.Kill)}
	}
	if p.Killed() {
		out.Killed = since(p.Ended)
	}
	return out
}

// byCreation sorts pods by their creation, the order of the lanes. In a rollout the lanes look like a staircase.
func byCreation(pods []Pod) []Pod {
	sorted := slices.Clone(pods)
	slices.SortStableFunc(sorted, func(a, b Pod) int {
		return cmp.Or(a.Created.Compare(b.Created), a.Deleted.Compare(b.Deleted), cmp.Compare(a.Name, b.Name))
	})
	return sorted
}

// suffixLength is the length of the random suffix of a pod's name.
const suffixLength = 5

// shortName returns the suffix of a pod's name, which differs among the pods of a workload.
func shortName(name string) string {
	last := printable(name[strings.LastIndexByte(name, '-')+1:])
	for utf8.RuneCountInString(last) > suffixLength {
		_, size := utf8.DecodeRuneInString(last)
		last = last[size:]
	}
	return last
}

// lossMarks returns the marks in the pods' lanes. A loss without a pod has no mark; it counts only in the seconds.
func lossMarks(losses []Loss, pods []Pod, since func(time.Time) float64) []chartLoss {
	lanes := map[string]int{}
	for i, p := range pods {
		lanes[p.Name] = i
	}
	marks := []chartLoss{}
	counts := map[chartLoss]int{}
	for _, l := range losses {
		lane, ok := lanes[l.Pod]
		if !ok {
			continue
		}
		mark := chartLoss{At: since(l.Lost.Truncate(lossInterval)), Pod: lane, Guessed: l.Guessed}
		if counts[mark]++; counts[mark] == 1 {
			marks = append(marks, mark)
		}
	}
	for i, m := range marks {
		marks[i].Count = counts[m]
	}
	return marks
}
