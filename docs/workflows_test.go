package docs_test

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// workflow has the fields of a GitHub workflow that the tests compare. actionlint checks the form.
type workflow struct {
	Jobs map[string]struct {
		Strategy struct {
			Matrix map[string][]string
		}
		Steps []struct {
			Run  string
			With map[string]any
		}
	}
}

func workflows(t *testing.T) map[string]workflow {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, ".github/workflows/*"))
	if err != nil || len(files) < 5 {
		t.Fatalf("%d workflows were found: %v", len(files), err)
	}
	all := map[string]workflow{}
	for _, file := range files {
		var w workflow
		name := filepath.Base(file)
		if err := yaml.Unmarshal([]byte(read(t, ".github/workflows/"+name)), &w); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		all[name] = w
	}
	return all
}

// TestWorkflowsCallMake: a workflow runs only make targets, so that a contributor can run each check without GitHub.
func TestWorkflowsCallMake(t *testing.T) {
	targets := makeTargets(t)
	goVersion := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "go.mod"))[1]
	page := read(t, "docs/ci.md")
	for name, w := range workflows(t) {
		if !strings.Contains(page, "](../.github/workflows/"+name+")") {
			t.Errorf("docs/ci.md has no link to %s", name)
		}
		for _, job := range w.Jobs {
			for _, s := range job.Steps {
				if version, ok := s.With["go-version"]; ok && version != goVersion {
					t.Errorf("%s: go-version is %v, want %s, as in go.mod", name, version, goVersion)
				}
				if s.Run == "" {
					continue
				}
				words := strings.Fields(s.Run)
				if words[0] != "make" {
					t.Errorf("%s: %q does not call make", name, s.Run)
				} else if problem := problemOfMake(words[1:], targets); problem != "" {
					t.Errorf("%s: %q: %s", name, s.Run, problem)
				}
				if !strings.Contains(page, "`make "+words[1]+"`") {
					t.Errorf("docs/ci.md does not have the command %q of %s", s.Run, name)
				}
			}
		}
	}
}

var (
	uses   = regexp.MustCompile(`uses: *(\S.*)`)
	pinned = regexp.MustCompile(`^([\w./-]+)@([0-9a-f]{40}) # (v\S+)$`)
)

// TestActionsArePinned: each action is pinned by a SHA, and docs/ci.md has the SHA, its version and its source.
func TestActionsArePinned(t *testing.T) {
	page, used := read(t, "docs/ci.md"), 0
	for name := range workflows(t) {
		for _, m := range uses.FindAllStringSubmatch(read(t, ".github/workflows/"+name), -1) {
			used++
			if action := pinned.FindStringSubmatch(m[1]); action == nil {
				t.Errorf("%s: want ACTION@SHA # VERSION, got %s", name, m[1])
			} else if row := "| " + action[1] + " | " + action[3] + " | `" + action[2] + "` | "; !strings.Contains(page, row) {
				t.Errorf("%s: the table of docs/ci.md has no row %s", name, row)
			}
		}
	}
	if used < 10 {
		t.Errorf("only %d actions were found", used)
	}
}

// TestNodeImagesAreTheSupportedVersions: the end-to-end tests run on each version that docs/versions.md calls supported.
func TestNodeImagesAreTheSupportedVersions(t *testing.T) {
	var want, got []string
	for _, m := range regexp.MustCompile(`(?m)^\| ([\d., ]+) \| supported,`).FindAllStringSubmatch(read(t, "docs/versions.md"), -1) {
		want = append(want, strings.Split(m[1], ", ")...)
	}
	slices.Sort(want)
	for _, job := range workflows(t)["e2e.yaml"].Jobs {
		for _, image := range job.Strategy.Matrix["node-image"] {
			m := regexp.MustCompile(`^kindest/node:v(\d+\.\d+)\.\d+@sha256:[0-9a-f]{64}$`).FindStringSubmatch(image)
			if m == nil {
				t.Fatalf("unexpected node image %s", image)
			}
			got = append(got, m[1])
		}
	}
	if want = slices.Compact(want); len(want) < 3 || !slices.Equal(got, want) {
		t.Errorf("the node images of e2e.yaml are for %v, docs/versions.md supports %v", got, want)
	}
}

// TestDependabotHasEveryModule: Dependabot updates only the modules that its configuration lists.
func TestDependabotHasEveryModule(t *testing.T) {
	var modules []string
	err := fs.WalkDir(os.DirFS(root), ".", func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{".git", "node_modules", "bin", "dist"}, entry.Name()):
			return fs.SkipDir
		case entry.Name() == "go.mod":
			modules = append(modules, path.Join("/", path.Dir(file)))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var dependabot struct {
		Updates []struct {
			Ecosystem   string `json:"package-ecosystem"`
			Directories []string
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, ".github/dependabot.yml")), &dependabot); err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, u := range dependabot.Updates {
		if u.Ecosystem == "gomod" {
			listed = append(listed, u.Directories...)
		}
	}
	slices.Sort(modules)
	slices.Sort(listed)
	if !slices.Equal(listed, modules) {
		t.Errorf("the modules of .github/dependabot.yml are\n%v, want\n%v", listed, modules)
	}
}
