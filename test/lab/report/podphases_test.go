package report

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestBands(t *testing.T) {
	begin := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	at := func(s int) time.Time { return begin.Add(time.Duration(s) * time.Second) }
	for _, tc := range []struct {
		name string
		pod  Pod
		want []band
	}{
		{"a pod that was deleted", Pod{Created: at(0), Ready: at(6), Deleted: at(20), Signal: at(25), Ended: at(27)},
			[]band{{starting, at(0), at(6)}, {ready, at(6), at(20)}, {draining, at(20), at(25)}, {finishing, at(25), at(27)}}},
		{"a pod that still runs", Pod{Created: at(0), Ready: at(6)}, []band{{starting, at(0), at(6)}, {ready, at(6), at(60)}}},
		{"a pod that was deleted before it was Ready", Pod{Created: at(0), Deleted: at(3), Signal: at(4), Ended: at(5)},
			[]band{{starting, at(0), at(3)}, {draining, at(3), at(4)}, {finishing, at(4), at(5)}}},
		{"SIGKILL at once, without a signal", Pod{Created: at(0), Ready: at(6), Deleted: at(20), Ended: at(21)},
			[]band{{starting, at(0), at(6)}, {ready, at(6), at(20)}, {draining, at(20), at(21)}}},
		{"a crash", Pod{Created: at(0), Ready: at(6), Ended: at(21)}, []band{{starting, at(0), at(6)}, {ready, at(6), at(21)}}},
		// The clocks differ: SIGTERM seems to come before the deletion.
		{"clocks that differ", Pod{Created: at(0), Ready: at(6), Deleted: at(21), Signal: at(20), Ended: at(23)},
			[]band{{starting, at(0), at(6)}, {ready, at(6), at(21)}, {finishing, at(21), at(23)}}},
		{"an end before the deletion", Pod{Created: at(0), Ready: at(6), Deleted: at(21), Ended: at(20)},
			[]band{{starting, at(0), at(6)}, {ready, at(6), at(21)}}},
		{"a pod without times", Pod{}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := bands(tc.pod, at(60))
			if len(got) == 0 {
				got = nil
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDeadlines(t *testing.T) {
	deleted := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	after := func(s int) time.Time { return deleted.Add(time.Duration(s) * time.Second) }
	timing := Timing{ShutdownSeconds: 20, PreStopSeconds: 5, TerminationGrace: 30}
	got, ok := deadlinesOf(Pod{Deleted: deleted}, timing)
	if want := (deadlines{deleted, after(5), after(25), after(30)}); !ok || got != want {
		t.Errorf("%v, %v; want %v", got, ok, want)
	}
	if _, ok := deadlinesOf(Pod{}, timing); ok {
		t.Error("a pod that was not deleted has deadlines")
	}
}

func TestTheControlIsNextToTheApp(t *testing.T) {
	var got []string
	for _, w := range inDisplayOrder([]Workload{{Name: "aware"}, {Name: "sleep"}, {Name: "recipe"}, {Name: "naive", Control: true}}) {
		got = append(got, w.Name)
	}
	if diff := cmp.Diff([]string{"aware", "naive", "sleep", "recipe"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
