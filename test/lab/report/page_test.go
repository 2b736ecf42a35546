package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

func rendered(t *testing.T, run Run, echarts []byte) string {
	t.Helper()
	var out bytes.Buffer
	if err := Page(&out, run, echarts); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// someScript replaces the chart library in tests that draw nothing.
var someScript = []byte("'use strict';")

func TestPageEscapesTextsOfTheCluster(t *testing.T) {
	page := rendered(t, sampleRun(), someScript)
	for _, markup := range []string{"<script>alert", "<img", "onerror=alert(2)>"} {
		if strings.Contains(page, markup) {
			t.Errorf("has %q", markup)
		}
	}
	if n := strings.Count(page, "<script"); n != 3 {
		t.Errorf("%d scripts, want data, library and code", n)
	}
	if !strings.Contains(page, "&lt;script&gt;alert(1)") || !strings.Contains(page, `\u003cscript\u003ealert(1)`) {
		t.Error("the hostile text is not in the page, so the test proves nothing")
	}
}

func TestPageNeedsNoNetwork(t *testing.T) {
	run := sampleRun()
	run.Scenarios = run.Scenarios[:2] // the third contains an address
	page := rendered(t, run, someScript)
	for _, address := range []string{"http:", "https:", "//cdn", " src=", "@import", "url("} {
		if strings.Contains(page, address) {
			t.Errorf("has %q", address)
		}
	}
	if !strings.Contains(page, "default-src &#39;none&#39;") {
		t.Error("no policy forbids the network")
	}
}

func TestPageRefusesAScriptThatEndsItself(t *testing.T) {
	for _, script := range []string{"", "x = '</SCRIPT>'", "x = '<!--'"} {
		if err := Page(&bytes.Buffer{}, sampleRun(), []byte(script)); err == nil {
			t.Errorf("accepted %q", script)
		}
	}
}

func TestPageOfNoScenario(t *testing.T) {
	if page := rendered(t, Run{}, someScript); !strings.Contains(page, "0 of 0") {
		t.Error("an interrupted run has no page")
	}
}

// The run has 25 scenarios, all of them as long as the longest, and the control has the most losses that are stored.
func TestPageOfALongRunIsSmall(t *testing.T) {
	run := sampleRun()
	long := run.Scenarios[0]
	control := &long.Workloads[3]
	for len(control.Losses) < MaxLosses {
		control.Losses = append(control.Losses, control.Losses...)
	}
	control.Losses = control.Losses[:MaxLosses]
	for i := range control.Losses {
		control.Losses[i].Lost = control.Losses[i].Lost.Add(time.Duration(i) * 20 * time.Millisecond)
	}
	run.Scenarios = nil
	for range 25 {
		run.Scenarios = append(run.Scenarios, long)
	}
	const echartsBytes, limit = 1_200_000, 6_000_000
	if n := len(rendered(t, run, someScript)) + echartsBytes; n > limit {
		t.Errorf("%d bytes, want at most %d", n, limit)
	} else {
		t.Logf("%d bytes", n)
	}
}

func TestChart(t *testing.T) {
	run := sampleRun()
	s := run.Scenarios[0]
	naive := s.workload("naive")
	c := chartOf(s, naive)
	drawn, lost := 0, 0.0
	for _, l := range c.Losses {
		drawn += l.Count
	}
	for _, second := range c.Seconds {
		lost += second[2]
	}
	if total := naive.Total().Lost; drawn != len(naive.Losses) || int(lost) != total || total == 0 {
		t.Errorf("%d losses in the pods' lanes, %.0f in the seconds; %d were given", drawn, lost, total)
	}
	if len(c.Losses) >= drawn {
		t.Error("losses of the same moment are drawn one by one")
	}
	if c.Events[0].At != 4 || c.Length != 96 || len(c.Events) != 3 {
		t.Errorf("events %+v in %.0f s", c.Events, c.Length)
	}
	aware := chartOf(s, s.workload("aware"))
	for _, p := range aware.Pods {
		if p.Deadlines != nil {
			if got, want := fmt.Sprint(p.Deadlines), "[32.2 37.2 43.2 48.2]"; got != want { // t2 5, t1 6, t3 16
				t.Errorf("deadlines %s, want %s", got, want)
			}
		}
	}
	if text, err := json.Marshal(chartOf(Scenario{}, Workload{})); err != nil || bytes.Contains(text, []byte("null")) {
		t.Errorf("an empty chart is %s, %v; page.js expects lists", text, err)
	}
}

func TestLossGroups(t *testing.T) {
	run := sampleRun()
	s := run.Scenarios[0]
	naive := s.workload("naive")
	groups, omitted := lossGroups(s, naive)
	sum := 0
	for i, g := range groups {
		sum += g.Count
		if i > 0 && g.Count > groups[i-1].Count {
			t.Error("the largest do not come first")
		}
		if strings.Count(g.Phases, "after") != 1 {
			t.Errorf("phases %q", g.Phases)
		}
	}
	if sum != len(naive.Losses) || omitted != 0 {
		t.Errorf("%d losses in groups, %d groups omitted; %d were given", sum, omitted, len(naive.Losses))
	}
	for i := range naive.Losses {
		naive.Losses[i].Pod = fmt.Sprint("pod-", i)
	}
	if groups, omitted = lossGroups(s, naive); len(groups) != maxGroups || omitted != len(naive.Losses)-maxGroups {
		t.Errorf("%d groups, %d omitted", len(groups), omitted)
	}
}
