package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// plainPeriod is how often progress is printed where lines cannot be redrawn.
const plainPeriod = 10 * time.Second

// screen prints the demo's text and, beneath it, one line of live progress that is redrawn on a terminal.
type screen struct {
	mu       sync.Mutex
	out      io.Writer
	terminal bool
	live     bool      // the last line is progress
	printed  time.Time // when progress was last printed as plain text
}

func newScreen(out io.Writer, terminal bool) *screen { return &screen{out: out, terminal: terminal} }

const (
	eraseLine = "\r\x1b[K"
	bold      = "\x1b[1m"
	normal    = "\x1b[0m"
)

// title begins a chapter.
func (s *screen) title(text string) {
	if s.terminal && os.Getenv("NO_COLOR") == "" {
		text = bold + text + normal
	}
	s.say("\n%s", text)
}

func (s *screen) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clearLive()
	fmt.Fprintf(s.out, format+"\n", args...)
}

// progress shows the state of things; on anything but a terminal only every plainPeriod.
func (s *screen) progress(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.terminal {
		if time.Since(s.printed) >= plainPeriod {
			s.printed = time.Now()
			fmt.Fprintln(s.out, text)
		}
		return
	}
	s.clearLive()
	fmt.Fprint(s.out, cut(text, s.width()-1))
	s.live = true
}

func (s *screen) clearLive() {
	if s.live {
		fmt.Fprint(s.out, eraseLine)
		s.live = false
	}
}

// width is 80 where nobody knows better.
func (s *screen) width() int {
	if f, ok := s.out.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 20 {
			return width
		}
	}
	return 80
}

func cut(text string, width int) string {
	if runes := []rune(text); len(runes) > width {
		return string(runes[:width-1]) + "…"
	}
	return text
}

// indent sets a text off from ours, for the words of others, and breaks it at width.
func indent(text string, width int) string {
	const margin = "    "
	var out strings.Builder
	for line := range strings.Lines(text) {
		column := 0
		for i, word := range strings.Fields(line) {
			if i > 0 && column+1+len([]rune(word)) > width-len(margin) {
				out.WriteString("\n")
				column = 0
			}
			if column == 0 {
				out.WriteString(margin)
			} else {
				out.WriteString(" ")
				column++
			}
			out.WriteString(word)
			column += len([]rune(word))
		}
		out.WriteString("\n")
	}
	return strings.TrimRight(out.String(), "\n")
}
