package docs_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	goDirective = regexp.MustCompile(`(?m)^go (\d+\.\d+)`)
	// builderStage is the stage of a Dockerfile that compiles a program. Its group is the base image's version of Go.
	builderStage = regexp.MustCompile(`(?ms)^FROM --platform=\$BUILDPLATFORM golang:(\S+) AS builder\n.*?\n\n`)
	// program matches the output and the package of `go build`, in which the stages differ.
	program = regexp.MustCompile(`-o (\.\./)?bin/\S+ \./\S+`)
)

// TestDockerfiles: each Dockerfile that compiles a program has the same stage builder as the others of its module, with the Go version of go.mod.
func TestDockerfiles(t *testing.T) {
	version := goDirective.FindStringSubmatch(read(t, "go.mod"))
	if version == nil {
		t.Fatal("go.mod has no go directive")
	}
	stageOf := func(file string) string { return program.ReplaceAllString(builderStage.FindString(read(t, file)), "") }
	for _, file := range dockerfiles(t) {
		text, model := read(t, file), "Dockerfile"
		if strings.HasPrefix(file, "test/") {
			model = "test/loadgen/Dockerfile"
		}
		stage := builderStage.FindStringSubmatch(text)
		switch {
		case !strings.Contains(text, "--from=builder"): // it adds programs of Debian
		case stage == nil:
			t.Errorf("%s has no stage builder", file)
		case stage[1] != version[1]:
			t.Errorf("%s builds with Go %s, but go.mod has Go %s", file, stage[1], version[1])
		case stageOf(file) != stageOf(model):
			t.Errorf("the stage builder of %s is not that of %s:\n%s", file, model, stage[0])
		}
	}
}

// dockerfiles returns the Dockerfiles' paths from the root of the repository.
func dockerfiles(t *testing.T) []string {
	t.Helper()
	var files []string
	for _, pattern := range []string{"Dockerfile", "*/Dockerfile", "test/*/Dockerfile", "test/lab/images/*/Dockerfile"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || found == nil {
			t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		for _, file := range found {
			relative, _ := filepath.Rel(root, file)
			files = append(files, relative)
		}
	}
	return files
}
