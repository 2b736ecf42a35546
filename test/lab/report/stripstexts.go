package report

import "math"

// eventTexts returns a text for each event. It joins the texts of events that are too close to each other, and shortens them to the room that they have.
func eventTexts(c chart, x func(float64) float64) []stripText {
	var all []stripText
	for _, e := range c.Events {
		if n := len(all); n > 0 && x(e.At)-float64(all[n-1].X) < eventsApart {
			all[n-1].Text += ", " + printable(e.Text)
			continue
		}
		all = append(all, stripText{X: int(x(e.At)), Text: printable(e.Text)})
	}
	for i := range all {
		end := stripsRight
		if i+1 < len(all) {
			end = all[i+1].X
		}
		all[i].Text = shorten(all[i].Text, int(float64(end-all[i].X-8)/letterWidth))
	}
	return all
}

// lossTexts returns a number for each group of seconds with losses, because the numbers of seconds that are close to each other would overlap.
func lossTexts(c chart, x func(float64) float64) []stripText {
	var all []stripText
	first, last, sum := 0.0, math.Inf(-1), 0
	add := func() {
		if sum > 0 {
			text := Thousands(sum) + " lost"
			all = append(all, stripText{X: int(min(first, stripsRight-letterWidth*float64(len(text)))), Text: text})
		}
	}
	for _, second := range c.Seconds {
		at := x(second[0] + 0.5)
		if second[2] == 0 {
			continue
		}
		if at-last >= numbersApart/2 || at-first >= numbersApart {
			add()
			first, sum = at, 0
		}
		last, sum = at, sum+int(second[2])
	}
	add()
	return all
}

// ticks returns about five round numbers of seconds.
func ticks(length float64, x func(float64) float64) []stripText {
	step := 10.0
	for factors := []float64{2, 2.5, 2}; length/step > 6; factors = append(factors[1:], factors[0]) {
		step *= factors[0]
	}
	var all []stripText
	for at := step; at < length-step/5; at += step {
		all = append(all, stripText{X: int(x(at)), Text: Thousands(int(at)) + " s"})
	}
	return all
}

// shorten shortens a text to a number of letters.
func shorten(text string, most int) string {
	letters := []rune(text)
	if len(letters) <= most {
		return text
	}
	return string(letters[:max(0, most-1)]) + "…"
}
