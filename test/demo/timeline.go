package main

import (
	"fmt"
	"strings"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// timelineWidth of the bar in columns: with SIGKILL behind it the drawing fits into 80.
const timelineWidth = 71

type segment struct {
	seconds int
	label   string
	begins  string // what happens at its begin
	says    string // and what from then on
}

func (s segment) minWidth() int { return max(len(s.label)+5, len(s.begins)+1, len(s.says)+1) }

// timeline draws the end of a pod to scale, as far as the labels permit:
//
//	├─ t2 = 5 s ─┼──────────────── t1 = 20 s ────────────────┼─ 5 s spare ─┤
//	deleted      SIGTERM                                     ended         SIGKILL
//	still serves finishes requests                           at the latest
func timeline(t v1alpha1.TimingStatus) string {
	t1, t2, t3 := int(t.ShutdownSeconds), int(t.PreStopSeconds), int(t.TerminationGracePeriodSeconds)
	segments := []segment{
		{t2, fmt.Sprintf("t2 = %d s", t2), "deleted", "still serves"},
		{t1, fmt.Sprintf("t1 = %d s", t1), "SIGTERM", "finishes requests"},
		{t3 - t1 - t2, fmt.Sprintf("%d s spare", t3-t1-t2), "ended", "at the latest"},
	}
	var bar, begins, says strings.Builder
	for i, width := range segmentWidths(segments, max(t3, 1)) {
		s := segments[i]
		bar.WriteString([]string{"├", "┼", "┼"}[i] + centred(" "+s.label+" ", width-1))
		fmt.Fprintf(&begins, "%-*s", width, s.begins)
		fmt.Fprintf(&says, "%-*s", width, s.says)
	}
	return fmt.Sprintf("%s┤\n%sSIGKILL\n%s\nt3 = %d s in all, and t3 > t1 + t2", &bar, &begins, strings.TrimRight(says.String(), " "), t3)
}

// segmentWidths shares timelineWidth by seconds; what a short segment needs more for its label is taken from the longest.
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

func centred(label string, width int) string {
	left := (width - len(label)) / 2
	return strings.Repeat("─", left) + label + strings.Repeat("─", width-len(label)-left)
}
