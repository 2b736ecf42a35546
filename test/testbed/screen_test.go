package testbed

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProgressIsRedrawnOnATerminal(t *testing.T) {
	var out bytes.Buffer
	s := NewScreen(&out, true)
	s.Progress("one")
	s.Progress(strings.Repeat("x", 100))
	s.Say("two")
	want := "one" + eraseLine + strings.Repeat("x", 78) + "…" + eraseLine + "two\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestProgressIsRareElsewhere(t *testing.T) {
	var out bytes.Buffer
	s := NewScreen(&out, false)
	for range 5 {
		s.Progress("so far")
	}
	s.Say("done")
	if out.String() != "so far\ndone\n" {
		t.Errorf("printed %q, want one line of progress, and no line redrawn", out.String())
	}
}

func TestIndentBreaksLongLines(t *testing.T) {
	want := "    one two\n    three\n    four"
	if diff := cmp.Diff(want, Indent("one two three\nfour", 12)); diff != "" {
		t.Error(diff)
	}
}

func TestAsk(t *testing.T) {
	for answer, want := range map[string]bool{"y\n": true, "YES\n": true, "n\n": false, "\n": false, "": false, "yellow\n": false} {
		var out bytes.Buffer
		if err := ask(strings.NewReader(answer), &out); (err == nil) != want {
			t.Errorf("answer %q: %v, want it accepted as yes: %v", answer, err, want)
		}
	}
}
