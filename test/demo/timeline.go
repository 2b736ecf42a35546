package main

import (
	"fmt"
	"strings"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// timelineWidth is the width of the bar in columns. With SIGKILL behind it the drawing fits into 80 columns.
const timelineWidth = 71

type segment struct {
	seconds int
	label   string
	event   string // that begins the segment
	state   string // of the pod during the segment
}

func (s segment) minWidth() int { return max(len(s.label)+5, len(s.event)+1, len(s.state)+1) }

// timeline draws the termination of a pod. Segments are to scale unless a label needs more room:
//
//	├─ t2 = 5 s ─┼──────────────── t1 = 20 s ────────────────┼─ 5 s spare ─┤
//	deleted      SIGTERM                                     ended         SIGKILL
//	still serves finishes requests                           at the latest
func timeline(t v1alpha1.TimingStatus) string {
	t1, t2, t3 := int(t.ShutdownSeconds), int(t.PreStopSeconds), int(t.TerminationGracePeriodSeconds)
	segments := []segment{
		{seconds: t2, label: fmt.Sprintf("t2 = %d s", t2), event: "deleted", state: "still serves"},
		{seconds: t1, label: fmt.Sprintf("t1 = %d s", t1), event: "SIGTERM", state: "finishes requests"},
		{seconds: t3 - t1 - t2, label: fmt.Sprintf("%d s spare", t3-t1-t2), event: "ended", state: "at the latest"},
	}
	var bar, events, states strings.Builder
	for i, width := range segmentWidths(segments, max(t3, 1)) {
		s := segments[i]
		bar.WriteString([]string{"├", "┼", "┼"}[i] + centered(" "+s.label+" ", width-1))
		fmt.Fprintf(&events, "%-*s", width, s.event)
		fmt.Fprintf(&states, "%-*s", width, s.state)
	}
	return fmt.Sprintf("%s┤\n%sSIGKILL\n%s\nt3 = %d s in all, and t3 > t1 + t2", &bar, &events, strings.TrimRight(states.String(), " "), t3)
}

// segmentWidths divides timelineWidth in proportion to the seconds. If a label needs more room, the longest segment gets less.
func segmentWidths(segments []segment, total int) []int {
	widths := make([]int, len(segments))
	sum, longest := 0, 0
	for i, s := range segments {
		widths[i] = max(timelineWidth*s.seconds/total, s.minWidth())
		sum += widths[i]
		if widths[i] > widths[longest] {
			longest = i
		}
	}
	widths[longest] = max(widths[longest]+timelineWidth-sum, segments[longest].minWidth())
	return widths
}

func centered(label string, width int) string {
	left := (width - len(label)) / 2
	return strings.Repeat("─", left) + label + strings.Repeat("─", width-len(label)-left)
}
