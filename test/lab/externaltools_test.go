package lab

import (
	"slices"
	"testing"
)

func TestWrkRateFollowsTheCalibration(t *testing.T) {
	for rate, want := range map[float64]string{0.4: "http://svc/?seconds=0.020", 0.1: "http://svc/?seconds=0.080"} {
		if got := externalTools(rate)[0].command("http://svc/", 60); !slices.Contains(got, want) {
			t.Errorf("rate %g: got %q, want %s", rate, got, want)
		}
	}
}

func TestToolsOutputs(t *testing.T) {
	tests := []struct {
		name           string
		read           func(string) (int, int, error)
		output         string
		requests, lost int
	}{
		{name: "wrk, none lost", read: readWrk, output: "  2 threads and 40 connections\n  5225932 requests in 2.17m, 1.71GB read\nRequests/sec:  40177.07\n", requests: 5225932, lost: 0},
		{name: "wrk, some lost", read: readWrk, output: "  1000 requests in 1.00m, 1MB read\n  Socket errors: connect 1, read 80, write 2, timeout 3\n  Non-2xx or 3xx responses: 4\n", requests: 1090, lost: 90},
		{name: "ab, none lost", read: readAb, output: "Complete requests:      2521\nFailed requests:        0\nKeep-Alive requests: 3\n", requests: 2521, lost: 0},
		{name: "ab, some lost", read: readAb, output: "Complete requests:      2521\nFailed requests:        12\n   (Connect: 0, Receive: 4, Length: 4, Exceptions: 4)\nNon-2xx responses:      2\n", requests: 2521, lost: 14},
		{name: "hey, none lost", read: readHey, output: "Status code distribution:\n  [200]\t4000 responses\n", requests: 4000, lost: 0},
		{name: "hey, some lost", read: readHey, output: "Status code distribution:\n  [200]\t4000 responses\n  [503]\t7 responses\n\nError distribution:\n" +
			"  [5]\tGet \"http://198.19.0.1/\": dial tcp: connection refused\n", requests: 4012, lost: 12},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			requests, lost, err := tt.read(tt.output)
			if err != nil || requests != tt.requests || lost != tt.lost {
				t.Errorf("%d requests, %d lost, %v; want %d and %d", requests, lost, err, tt.requests, tt.lost)
			}
			if _, _, err := tt.read("segmentation fault\n"); err == nil {
				t.Error("accepted the output of a failure")
			}
		})
	}
}
