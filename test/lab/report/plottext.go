package report

import (
	"strings"
	"unicode/utf8"

	"gonum.org/v1/plot/vg"
)

// cluster is a group of seconds with losses that are close to each other. The picture has one number for it, because several would overlap.
type cluster struct {
	From, To float64
	Lost     int
	Top      float64
}

func clustersOf(c chart) []cluster {
	near := c.Length / 15 // about the width of a number
	var all []cluster
	for _, s := range c.Seconds {
		at, lost, top := max(0, s[0]), int(s[2]), s[1]+s[2]
		if lost == 0 {
			continue
		}
		// The length of a cluster is bounded, otherwise one number might stand for the whole scenario.
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

// truncate shortens a text to the given width.
func truncate(style textStyle, text string, room vg.Length) string {
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

// eventText is the text beside the line of an event.
type eventText struct {
	From float64 // time of the first event in the text
	At   float64 // time of the last event in the text
	Text string
}

// eventTexts returns the texts of the events. It joins the texts of events that are too close to each other.
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

// shorten shortens a text to the given width. It keeps the end of a text that ends in a number, such as "scale to 5".
func shorten(style textStyle, text string, room vg.Length) string {
	if text == "" || style.Width(text) <= room || text[len(text)-1] < '0' || text[len(text)-1] > '9' {
		return truncate(style, text, room)
	}
	for text != "" && style.Width("…"+text) > room {
		_, size := utf8.DecodeRuneInString(text)
		text = text[size:]
	}
	if _, words, ok := strings.Cut(text, " "); ok {
		text = words // without the word that is cut
	}
	if text == "" {
		return ""
	}
	return "…" + text
}
