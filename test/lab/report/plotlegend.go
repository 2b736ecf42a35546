package report

import (
	"slices"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// drawDeadlines draws t2 | t1 | t3 below the band of a deleted pod, with ticks where SIGTERM is due, where t1 ends and where SIGKILL is due.
func (m podMark) drawDeadlines(c draw.Canvas, pod chartPod, x func(float64) vg.Length, bottom, top vg.Length) {
	if pod.Killed > 0 && pod.Killed <= m.Length {
		write(c, newTextStyle(7.5).bold().colored(lossColor), x(pod.Killed)+3, top+1.5, "SIGKILL")
	}
	if len(pod.Deadlines) == 0 {
		return
	}
	deleted, term, shutdown, kill := pod.Deadlines[0], pod.Deadlines[1], pod.Deadlines[2], pod.Deadlines[3]
	line(c, softColor, 0.5, x(deleted), bottom-1, x(kill), bottom-1)
	ticks := []struct {
		at            float64
		width, height vg.Length
	}{{term, 1, top - bottom + 2}, {shutdown, 0.6, 3}, {kill, 1.75, top - bottom + 2}}
	for _, t := range ticks {
		if t.at < m.Length { // later deadlines are outside the plot
			line(c, inkColor, t.width, x(t.at), bottom-1, x(t.at), bottom-1+t.height)
		}
	}
	style, mid := newTextStyle(7).centered(), (bottom+top)/2+0.8 // letters without descenders look too low
	onFinishing := slices.ContainsFunc(pod.Bands, func(b chartBand) bool { return b.Phase == finishing && b.From < term })
	if x(term)-x(deleted) > 12 && !onFinishing { // the text would be dark on dark
		write(c, style, (x(deleted)+x(term))/2, mid, "t2")
	}
	if last := pod.Bands; pod.Killed == 0 && len(last) > 0 {
		if free := x(max(last[len(last)-1].To, term)); x(shutdown)-free > 12 {
			write(c, style, (free+x(shutdown))/2, mid, "t1") // losses are marked directly after the end of the pod
		}
		if x(kill)+14 < c.Max.X && last[len(last)-1].To <= kill { // otherwise the text would be on the band
			write(c, style, x(kill)+7, mid, "t3")
		}
	}
}

// drawLegend draws the legend of the bands and the ticks.
func drawLegend(c draw.Canvas) {
	style := newTextStyle(7.5).colored(softColor)
	x, mid := c.Min.X, c.Min.Y+6
	bottom, top := mid-3, mid+3
	entry := func(width vg.Length, words string, sample func(x0, x1 vg.Length)) {
		sample(x, x+width)
		write(c, style, x+width+3, mid+style.Font.Size/2, words)
		x += width + 3 + style.Width(words) + 9
	}
	entry(14, "starting", func(x0, x1 vg.Length) { dashedBox(c, x0, bottom, x1, top) })
	for _, p := range []struct {
		phase phase
		words string
	}{{ready, "ready"}, {draining, "deleted, hook (t2)"}, {finishing, "SIGTERM to end"}} {
		entry(14, p.words, func(x0, x1 vg.Length) { box(c, phaseColors[p.phase], x0, bottom, x1, top) })
	}
	entry(3, "SIGTERM due", func(x0, _ vg.Length) { line(c, inkColor, 1, x0+1.5, bottom-1, x0+1.5, top+1) })
	entry(3, "SIGKILL due (t3)", func(x0, _ vg.Length) { line(c, inkColor, 1.75, x0+1.5, bottom-1, x0+1.5, top+1) })
	entry(14, "until settled", func(x0, x1 vg.Length) { box(c, settlingColor, x0, bottom, x1, top) })
	entry(6, "lost", func(x0, _ vg.Length) { diamond(c, x0+3, mid, 3) })
}
