package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Thousands formats 20000 as 20,000.
func Thousands(n int) string {
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

// share formats the share of the requests that was lost. If none was lost, it formats the upper bound of the share at 95 % confidence.
func share(requests, lost int) string {
	switch {
	case requests == 0:
		return ""
	case lost > 0:
		return percent(float64(lost) / float64(requests))
	}
	return "< " + percent(min(ruleOfThree/float64(requests), 1))
}

// percent formats a share with two significant digits, such as 0.015, 0.15, 1.5 or 15. It rounds up, because the share is an upper bound of losses.
func percent(share float64) string {
	p, scale, digits := share*100, 1.0, 0
	for p > 0 && p*scale < 10 && digits < 6 {
		scale *= 10
		digits++
	}
	// The small number keeps a floating-point error from being rounded up.
	return strconv.FormatFloat(math.Ceil(p*scale-1e-9)/scale, 'f', digits, 64) + " %"
}

// latency formats a duration with about three digits. 0 means that there is no measurement.
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

// seconds formats a duration in seconds with one decimal, the precision of the watches.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) }

// printable replaces line breaks and unprintable characters, such as escape sequences, in a text from the cluster.
func printable(text string) string {
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

// arrows replaces the arrows of a scenario's title.
func arrows(text string) string { return strings.ReplaceAll(text, " -> ", " → ") }
