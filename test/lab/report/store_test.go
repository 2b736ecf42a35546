package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadReturnsTheWrittenRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	path := filepath.Join(dir, "lab.json")
	for range 2 { // the second one replaces the first
		if err := Write(path, sampleRun()); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sampleRun(), got); diff != "" {
		t.Errorf("(-written +read):\n%s", diff)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("%d files are left, %v", len(files), err)
	}
}

func TestWriteReturnsErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Write(filepath.Join(file, "lab.json"), Run{}); err == nil {
		t.Error("wrote into a directory that is a file")
	}
}

func TestReadRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"a field it does not know": `{"scenarios":[{"promissed":true}]}`,
		"a second run":             `{"seed":1} {"seed":2}`,
		"a cut off file":           `{"seed":1,`,
		"nothing":                  ``,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "lab.json")
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := Read(path); err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v, want an error that names the file", err)
			}
		})
	}
}
