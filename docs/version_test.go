package docs_test

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the version of the file VERSION wherever it is mentioned")

// versionMentions match the places that must have the version of the file VERSION. The second group of each is the version.
var versionMentions = []*regexp.Regexp{
	regexp.MustCompile(`(ghcr\.io/gracefulapp/[a-z{},-]+:)([0-9][\w.-]*\w)`),
	regexp.MustCompile(`(newName: ghcr\.io/gracefulapp/[a-z-]+\n +newTag: )(\S+)`),
	regexp.MustCompile(`(?m)^((?:appV|v)ersion: )([0-9]+\.[0-9]+\.\S*)`), // of the Helm chart
	regexp.MustCompile(`(--build-arg VERSION=)([0-9]\S*)`),
}

// TestVersion: each image of this repository has the version of the file VERSION. `make set-version VERSION=0.2.0` changes the file, and runs this test
// with -update.
func TestVersion(t *testing.T) {
	version, found := version(t), 0
	for _, file := range filesWith(t, ".md", ".yaml", ".go", ".sh", ".tpl", "") {
		text := file.text
		for _, mention := range versionMentions {
			for _, m := range mention.FindAllStringSubmatch(file.text, -1) {
				found++
				if m[2] != version && !*update {
					t.Errorf("%s: %s, but VERSION has %s; run: make set-version VERSION=%s", file.path, m[0], version, version)
				}
			}
			text = mention.ReplaceAllString(text, "${1}"+version)
		}
		if *update && text != file.text {
			if err := os.WriteFile(filepath.Join(root, file.path), []byte(text), 0o600); err != nil { // an existing file keeps its mode
				t.Fatal(err)
			}
		}
	}
	if found < 20 {
		t.Errorf("found %d mentions of an image; does the registry in this test differ from that of the Makefile?", found)
	}
}

// TestScriptsTakeTheVersionFromMake: a version in a script would be another place to change.
func TestScriptsTakeTheVersionFromMake(t *testing.T) {
	version := version(t)
	scripts, err := fs.Glob(os.DirFS(root), "hack/*.sh")
	if err != nil || scripts == nil {
		t.Fatalf("hack: %v, %v", scripts, err)
	}
	for _, file := range append(scripts, "Makefile", ".ci/run") {
		if strings.Contains(read(t, file), version) {
			t.Errorf("%s contains the version %s; use the variable VERSION, which make sets", file, version)
		}
	}
}

func version(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(read(t, "VERSION"))
}
