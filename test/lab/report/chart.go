package report

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// chart is what one panel of the page draws, as small as possible: times are seconds since the scenario's begin. page.js reads it.
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
	// Allowance: deleted, SIGTERM, end of t1, SIGKILL; none if nobody deleted it.
	Allowance []float64 `json:"allowance,omitempty"`
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

// chartLoss are the requests that a pod lost in about the same moment.
type chartLoss struct {
	At      float64 `json:"at"`
	Pod     int     `json:"pod"` // index
	Count   int     `json:"count"`
	Guessed bool    `json:"guessed,omitempty"`
}

// lossGrain is how close in time losses are drawn as one mark; a mark of two pixels is about as wide on a desktop.
const lossGrain = 250 * time.Millisecond

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
	out := chartPod{Name: p.Name, Short: short(p.Name), Node: p.Node, Bands: []chartBand{}, Exit: p.ExitCode}
	for _, b := range bands(p, end) {
		out.Bands = append(out.Bands, chartBand{b.Phase, since(b.From), since(b.To)})
	}
	if a, ok := allowanceOf(p, t); ok {
		out.Allowance = []float64{since(a.Deleted), since(a.Term), since(a.Shutdown), since(a.Kill)}
	}
	if p.killed() {
		out.Killed = since(p.Ended)
	}
	return out
}

// byCreation is the order of the lanes: a rollout reads as a staircase.
func byCreation(pods []Pod) []Pod {
	sorted := slices.Clone(pods)
	slices.SortStableFunc(sorted, func(a, b Pod) int {
		return cmp.Or(a.Created.Compare(b.Created), a.Deleted.Compare(b.Deleted), cmp.Compare(a.Name, b.Name))
	})
	return sorted
}

// shortName is what Kubernetes appends to a pod's name.
const shortName = 5

// short tells the pods of one workload apart.
func short(name string) string {
	last := clean(name[strings.LastIndexByte(name, '-')+1:])
	for utf8.RuneCountInString(last) > shortName {
		_, size := utf8.DecodeRuneInString(last)
		last = last[size:]
	}
	return last
}

// lossMarks are drawn in the pods' lanes. Losses of no pod that is known are only in the seconds.
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
		mark := chartLoss{At: since(l.Lost.Truncate(lossGrain)), Pod: lane, Guessed: l.Guessed}
		if counts[mark]++; counts[mark] == 1 {
			marks = append(marks, mark)
		}
	}
	for i, m := range marks {
		marks[i].Count = counts[m]
	}
	return marks
}
