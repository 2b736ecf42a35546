// Package binaries builds the binaries of the cluster's components, once for all checkouts of a user.
package binaries

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gracefulapp/gracefulapp/test/cluster/internal/instance"
	"github.com/gracefulapp/gracefulapp/test/cluster/internal/machine"
)

// Ensure returns the folder of the binaries for a minor version of Kubernetes, such as Current, and builds them if they are missing. If several
// processes call it, one builds and the others wait.
func Ensure(ctx context.Context, kubernetes string) (string, error) {
	s, ok := sets[kubernetes]
	if !ok {
		return "", fmt.Errorf("no build of Kubernetes %q: choose one of %s", kubernetes, strings.Join(slices.Sorted(maps.Keys(sets)), ", "))
	}
	source, err := source()
	if err != nil {
		return "", err
	}
	dir, err := s.dirFor(source)
	if err != nil || exists(dir) {
		return dir, err
	}
	if err := machine.CheckBuild(filepath.Dir(filepath.Dir(dir))); err != nil {
		return "", err
	}
	// An interrupted build leaves its finished binaries in this folder, and the next build continues there.
	partial := dir + ".partial"
	unlock, err := instance.Lock(ctx, partial)
	if err != nil {
		return "", err
	}
	defer unlock()
	if exists(dir) { // another process has built them while this one waited for the lock
		return dir, os.Remove(partial)
	}
	if err := s.build(ctx, source, partial); err != nil {
		return "", err
	}
	return dir, os.Rename(partial, dir)
}

func exists(dir string) bool {
	_, err := os.Stat(dir)
	return !errors.Is(err, os.ErrNotExist)
}

// dirFor returns the folder of this checkout's binaries in the user's cache.
func (s set) dirFor(source string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the user's cache folder: %w", err)
	}
	key, err := s.key(source)
	return filepath.Join(cache, "gracefulapp", "cluster", key), err
}
