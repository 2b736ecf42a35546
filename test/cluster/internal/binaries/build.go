package binaries

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// progressInterval is the time between two lines that show the progress of a build.
const progressInterval = 20 * time.Second

// build builds the binaries of all targets into a folder.
func (s set) build(ctx context.Context, source, to string) error {
	fmt.Fprintf(os.Stderr, "Building %s from source, once for this user:\n%s\n", s.versions, s.cost)
	began := time.Now()
	for _, t := range s.targets {
		if err := buildTarget(ctx, filepath.Join(source, t.module), t, to); err != nil {
			return err
		}
	}
	fmt.Fprintf(os.Stderr, "built in %s\n", time.Since(began).Round(time.Second))
	return nil
}

func buildTarget(ctx context.Context, dir string, t target, to string) error {
	for n, pkg := range t.packages {
		file := filepath.Join(to, t.binaries[n])
		if exists(file) {
			continue
		}
		if err := goBuild(ctx, dir, t.binaries[n], pkg, t.ldflags, file); err != nil {
			return err
		}
	}
	for _, link := range t.links {
		if err := os.Symlink(t.binaries[0], filepath.Join(to, link)); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}

// goBuild builds a package. It writes the file atomically, so that an existing file is complete.
func goBuild(ctx context.Context, dir, name, pkg, ldflags, file string) error {
	args := append(append([]string{}, flags...), "-ldflags="+strip+ldflags, "-o", file+".new", pkg)
	c := exec.CommandContext(ctx, "go", args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOTOOLCHAIN=local")
	var output bytes.Buffer
	reader, err := c.StderrPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return fmt.Errorf("starting go: %w", err)
	}
	var packages atomic.Int64
	stop := reportProgress(name, &packages)
	copyLines(&output, reader, &packages)
	err = c.Wait()
	stop()
	if err != nil {
		return fmt.Errorf("building %s: %w\n%s", name, err, lastLines(output.String(), 20))
	}
	return os.Rename(file+".new", file)
}

// copyLines copies the output of `go build -v` and counts its lines with a package: it prints each package that it compiles.
func copyLines(to *bytes.Buffer, from io.Reader, packages *atomic.Int64) {
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		fmt.Fprintln(to, lines.Text())
		if !strings.HasPrefix(lines.Text(), "go: ") {
			packages.Add(1)
		}
	}
}

// reportProgress prints a line in each progressInterval, and a last one when it is stopped.
func reportProgress(name string, packages *atomic.Int64) (stop func()) {
	began, done := time.Now(), make(chan struct{})
	report := func(state string) {
		fmt.Fprintf(os.Stderr, "  %-24s %s, %d packages compiled, %s\n", name, state, packages.Load(), time.Since(began).Round(time.Second))
	}
	go func() {
		ticker := time.NewTicker(progressInterval)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				report("building")
			}
		}
	}()
	return func() { close(done); report("done") }
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
