package drainproxy

import "testing"

func TestBoundProcessors(t *testing.T) {
	for _, c := range []struct {
		name              string
		cores, processors int
		given             string
		want              int
	}{
		{name: "a large node", cores: 64, processors: 64, want: 4},
		{name: "a small node", cores: 2, processors: 2, want: 2},
		{name: "a CPU limit", cores: 64, processors: 16, want: 16},
		{name: "a small CPU limit", cores: 64, processors: 2, want: 2},
		{name: "the environment chooses", cores: 64, processors: 64, given: "64", want: 64},
	} {
		if got := boundProcessors(c.cores, c.processors, c.given); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}
