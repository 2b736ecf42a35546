package testbed

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

// Screen prints text and, beneath it, one line of live progress that is redrawn on a terminal.
type Screen struct {
	mu       sync.Mutex
	out      io.Writer
	terminal bool
	live     bool      // the last line is progress
	printed  time.Time // when progress was last printed as plain text
}

// NewScreen tells what out can do: lines are redrawn on a terminal only.
func NewScreen(out io.Writer, terminal bool) *Screen { return &Screen{out: out, terminal: terminal} }

const (
	eraseLine = "\r\x1b[K"
	bold      = "\x1b[1m"
	normal    = "\x1b[0m"
)

// Title begins a chapter.
func (s *Screen) Title(text string) {
	if s.terminal && os.Getenv("NO_COLOR") == "" {
		text = bold + text + normal
	}
	s.Say("\n%s", text)
}

// Say prints a text that stays.
func (s *Screen) Say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clearLive()
	fmt.Fprintf(s.out, format+"\n", args...)
}

// Progress shows the state of things; on anything but a terminal only every plainPeriod.
func (s *Screen) Progress(text string) {
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
	fmt.Fprint(s.out, cut(text, s.Width()-1))
	s.live = true
}

func (s *Screen) clearLive() {
	if s.live {
		fmt.Fprint(s.out, eraseLine)
		s.live = false
	}
}

// Width is 80 where nobody knows better.
func (s *Screen) Width() int {
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

// Indent sets a text off from ours, for the words of others, and breaks it at width.
func Indent(text string, width int) string {
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
