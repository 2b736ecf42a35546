package docs_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	constant = regexp.MustCompile(`(?m)^\t(Condition|Reason)\w+ += "(\w+)"$`)
	// reasonTable is a table with reasons in its first column.
	reasonTable = regexp.MustCompile(`(?m)^\| reason \|.*\n\|[-|]+\|\n((?:\|.*\n)+)`)
)

// TestReasonsAreThoseOfTheAPI: each condition and reason of the API is on one of the two pages, and the tables name no other reason.
func TestReasonsAreThoseOfTheAPI(t *testing.T) {
	status, troubleshooting := read(t, "docs/status.md"), read(t, "docs/troubleshooting.md")
	reasons := map[string]bool{}
	for _, m := range constant.FindAllStringSubmatch(read(t, "api/v1alpha1/conditions.go"), -1) {
		if reasons[m[2]] = m[1] == "Reason"; !regexp.MustCompile(`\b` + m[2] + `\b`).MatchString(status + troubleshooting) {
			t.Errorf("neither docs/status.md nor docs/troubleshooting.md has %s %s", m[1], m[2])
		}
	}
	if len(reasons) < 20 {
		t.Errorf("only these constants were found: %v", slices.Sorted(maps.Keys(reasons)))
	}
	rows := 0
	for _, table := range reasonTable.FindAllStringSubmatch(status+troubleshooting, -1) {
		for row := range strings.Lines(table[1]) {
			rows++
			for reason := range strings.SplitSeq(strings.Split(row, "|")[1], ",") {
				if reason = strings.Trim(reason, " `"); !reasons[reason] {
					t.Errorf("the API has no reason %s", reason)
				}
			}
		}
	}
	if rows < 25 {
		t.Errorf("only %d rows with reasons were found", rows)
	}
}

// TestVersionsAreThoseOfTheCode: docs/versions.md repeats the versions of the tests, the check of make deploy, and the derivation versions.
func TestVersionsAreThoseOfTheCode(t *testing.T) {
	tested := regexp.MustCompile(`versions: "(.*)",`).FindAllStringSubmatch(read(t, "test/cluster/internal/binaries/targets.go"), -1)
	oldest := regexp.MustCompile(`"\$\{minor:-0\}" -lt (\d+)`).FindStringSubmatch(read(t, "hack/deploy.sh"))
	if len(tested) != 2 || oldest == nil {
		t.Fatalf("the versions were not found: %q, %q", tested, oldest)
	}
	page := read(t, "docs/versions.md")
	for _, want := range []string{
		"All tests run on " + tested[0][1] + ".",
		"`make test-1." + oldest[1] + "` runs the Go tests on " + tested[1][1] + ".",
		"needs Kubernetes 1." + oldest[1] + " or newer",
		fmt.Sprintf("| %s | `apps.gracefulapp.dev/v1alpha1` | %d to %d |", version(t), plan.OldestDerivation, plan.NewestDerivation),
		fmt.Sprintf("A new app gets version %d.", plan.NewestDerivation),
	} {
		if !strings.Contains(page, want) {
			t.Errorf("docs/versions.md does not say %q", want)
		}
	}
}

// TestGettingStartedShowsTheTiming: the page repeats the times that are derived for the sample.
func TestGettingStartedShowsTheTiming(t *testing.T) {
	app := &v1alpha1.GracefulApp{}
	if err := yaml.UnmarshalStrict([]byte(read(t, "config/samples/apps_v1alpha1_gracefulapp.yaml")), app); err != nil {
		t.Fatal(err)
	}
	derived, _, _ := plan.For(app, plan.Running{})
	want := fmt.Sprintf("%d s preStop hook, %d s shutdown, %d s grace period", derived.Timing.PreStopSeconds, derived.Timing.ShutdownSeconds,
		derived.Timing.TerminationGracePeriodSeconds)
	if !strings.Contains(read(t, "docs/getting-started.md"), want) {
		t.Errorf("docs/getting-started.md does not say %q", want)
	}
}

// TestIndexListsEveryPage: a page that docs/README.md does not list is hard to find.
func TestIndexListsEveryPage(t *testing.T) {
	index := read(t, "docs/README.md")
	for _, folder := range []string{"", "how-to/"} {
		files, err := filepath.Glob(filepath.Join(root, "docs", folder, "*.md"))
		if err != nil || len(files) < 5 {
			t.Fatalf("%d pages were found: %v", len(files), err)
		}
		for _, file := range files {
			if name := folder + filepath.Base(file); name != "README.md" && !strings.Contains(index, "]("+name+")") {
				t.Errorf("docs/README.md has no link to %s", name)
			}
		}
	}
}
