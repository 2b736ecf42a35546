package binaries

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// source returns the folder build/ of a checkout. It searches the parent folders of the working directory and of the program.
func source() (string, error) {
	var starts []string
	if dir, err := os.Getwd(); err == nil {
		starts = append(starts, dir)
	}
	if self, err := os.Executable(); err == nil {
		starts = append(starts, filepath.Dir(self))
	}
	for _, dir := range starts {
		for {
			for _, below := range []string{"test/cluster/build", "build"} {
				candidate := filepath.Join(dir, below)
				if _, err := os.Stat(filepath.Join(candidate, "kubernetes", "go.mod")); err == nil {
					return candidate, nil
				}
			}
			parent := filepath.Dir(dir)
			if parent == dir {
				break
			}
			dir = parent
		}
	}
	return "", errors.New("test/cluster/build not found: run this command inside a checkout of the repository")
}

// key returns the name of a set of binaries. The same sources, flags and Go version have the same key.
func (s set) key(source string) (string, error) {
	goVersion, err := exec.Command("go", "env", "GOVERSION").Output()
	if err != nil {
		return "", fmt.Errorf("asking Go for its version (is it installed?): %w", err)
	}
	hash := sha256.New()
	fmt.Fprintln(hash, strings.TrimSpace(string(goVersion)), runtime.GOOS, runtime.GOARCH, flags, strip, s.targets)
	for _, t := range s.targets {
		dir := filepath.Join(source, t.module)
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			content, err := os.ReadFile(path)
			fmt.Fprintf(hash, "%s/%s %d\n%s", t.module, d.Name(), len(content), content)
			return err
		})
		if err != nil {
			return "", fmt.Errorf("reading %s: %w", dir, err)
		}
	}
	return hex.EncodeToString(hash.Sum(nil))[:12], nil
}
