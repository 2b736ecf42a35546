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

// plainPeriod is the interval at which progress is printed if out is not a terminal.
const plainPeriod = 10 * time.Second

// Screen prints text and, below it, one line of progress. A terminal shows only the latest progress.
type Screen struct {
	mu       sync.Mutex
	out      io.Writer
	terminal bool
	live     bool      // the last line is progress
	printed  time.Time // when progress was last printed as plain text
}

// NewScreen returns a Screen that prints to out. It redraws the progress line only if terminal is true.
func NewScreen(out io.Writer, terminal bool) *Screen { return &Screen{out: out, terminal: terminal} }

const (
	eraseLine = "\r\x1b[K"
	bold      = "\x1b[1m"
	normal    = "\x1b[0m"
)

// Title prints a heading.
func (s *Screen) Title(text string) {
	if s.terminal && os.Getenv("NO_COLOR") == "" {
		text = bold + text + normal
	}
	s.Say("\n%s", text)
}

// Say prints a line that is not redrawn.
func (s *Screen) Say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clearLive()
	fmt.Fprintf(s.out, format+"\n", args...)
}

// Progress shows text as the progress line. Without a terminal it prints a line at most once per plainPeriod.
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
	fmt.Fprint(s.out, truncate(text, s.Width()-1))
	s.live = true
}

func (s *Screen) clearLive() {
	if s.live {
		fmt.Fprint(s.out, eraseLine)
		s.live = false
	}
}

// Width returns the width of the terminal, or 80 if out is not a terminal.
func (s *Screen) Width() int {
	if f, ok := s.out.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 20 {
			return width
		}
	}
	return 80
}

func truncate(text string, width int) string {
	if runes := []rune(text); len(runes) > width {
		return string(runes[:width-1]) + "…"
	}
	return text
}

// Indent indents a text that is quoted, such as an error of the API server, and breaks its lines at width.
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
