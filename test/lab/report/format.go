package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// thousands writes 20000 as 20,000.
func thousands(n int) string {
	digits := strconv.Itoa(n)
	var out strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 && digits[i-1] != '-' {
			out.WriteByte(',')
		}
		out.WriteRune(d)
	}
	return out.String()
}

// share of the requests that was lost; if none was, the share that is lost at most, at 95 % confidence.
func share(requests, lost int) string {
	switch {
	case requests == 0:
		return ""
	case lost > 0:
		return percent(float64(lost) / float64(requests))
	}
	return "< " + percent(min(ruleOfThree/float64(requests), 1))
}

// percent with two significant digits, rounded up, for it is a bad thing's bound: 0.015, 0.15, 1.5, 15.
func percent(share float64) string {
	p, scale, digits := share*100, 1.0, 0
	for p > 0 && p*scale < 10 && digits < 6 {
		scale *= 10
		digits++
	}
	// What floating point adds to an exact number is not rounded up.
	return strconv.FormatFloat(math.Ceil(p*scale-1e-9)/scale, 'f', digits, 64) + " %"
}

// latency has about three digits; nothing was measured if it is 0.
func latency(d time.Duration) string {
	switch ms := float64(d) / float64(time.Millisecond); {
	case d <= 0:
		return ""
	case ms < 9.95:
		return fmt.Sprintf("%.1f ms", ms)
	case ms < 999.5:
		return fmt.Sprintf("%.0f ms", ms)
	default:
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
}

// seconds of a duration, with one digit: as fine as watches are quick.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) }

// clean makes a text from a cluster fit for one line of a terminal: it may hold escape sequences and line breaks.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return unicode.ReplacementChar
		}
		return r
	}, text)
}
