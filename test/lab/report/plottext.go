package report

import (
	"strings"
	"unicode/utf8"

	"gonum.org/v1/plot/vg"
)

// cluster is a run of losing seconds that share one number, for theirs would overlap.
type cluster struct {
	From, To float64
	Lost     int
	Top      float64
}

func clustersOf(c chart) []cluster {
	near := c.Length / 15 // about as wide as a number
	var all []cluster
	for _, s := range c.Seconds {
		at, lost, top := max(0, s[0]), int(s[2]), s[1]+s[2]
		if lost == 0 {
			continue
		}
		// A long chain is broken, or one number stands for all that happened.
		if n := len(all); n > 0 && at-all[n-1].To < near && at-all[n-1].From < 2*near {
			last := &all[n-1]
			last.To, last.Lost, last.Top = at, last.Lost+lost, max(last.Top, top)
			continue
		}
		all = append(all, cluster{at, at, lost, top})
	}
	return all
}

func (c cluster) String() string { return thousands(c.Lost) + " lost" }

// cut shortens a text to the room that it has.
func cut(style textStyle, text string, room vg.Length) string {
	if style.Width(text) <= room {
		return text
	}
	for text != "" && style.Width(text+"…") > room {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	if text == "" {
		return ""
	}
	return text + "…"
}

// eventText is what stands beside an event's line, from there to the next text.
type eventText struct {
	From float64 // the first event of those that it names
	At   float64 // the last
	Text string
}

// eventTexts joins events that are too close for a text between them.
func eventTexts(c chart, tooClose float64) []eventText {
	var all []eventText
	for i, e := range c.Events {
		if i > 0 && e.At-all[len(all)-1].At < tooClose {
			last := &all[len(all)-1]
			last.At, last.Text = e.At, last.Text+", "+e.Text
			continue
		}
		all = append(all, eventText{e.At, e.At, e.Text})
	}
	return all
}

// brief keeps the end of a text that ends in a number: of "scale to 5", the 5 says most.
func brief(style textStyle, text string, room vg.Length) string {
	if text == "" || style.Width(text) <= room || text[len(text)-1] < '0' || text[len(text)-1] > '9' {
		return cut(style, text, room)
	}
	for text != "" && style.Width("…"+text) > room {
		_, size := utf8.DecodeRuneInString(text)
		text = text[size:]
	}
	if _, words, ok := strings.Cut(text, " "); ok {
		text = words // the first one is cut
	}
	if text == "" {
		return ""
	}
	return "…" + text
}
