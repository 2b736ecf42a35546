// Package binaries builds what the cluster runs, once for all checkouts of a machine's user.
package binaries

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gracefulapp/gracefulapp/test/cluster/internal/instance"
	"github.com/gracefulapp/gracefulapp/test/cluster/internal/machine"
)

// Ensure returns the folder of the binaries and builds them if they are missing. Of several callers at once one builds
// and the others wait for it.
func Ensure(ctx context.Context) (string, error) {
	source, err := source()
	if err != nil {
		return "", err
	}
	dir, err := dirFor(source)
	if err != nil || exists(dir) {
		return dir, err
	}
	if err := machine.CheckBuild(filepath.Dir(filepath.Dir(dir))); err != nil {
		return "", err
	}
	// What is finished stays here when a build is interrupted, and the next one goes on.
	partial := dir + ".partial"
	unlock, err := instance.Lock(ctx, partial)
	if err != nil {
		return "", err
	}
	defer unlock()
	if exists(dir) { // built by whom we waited for
		return dir, os.Remove(partial)
	}
	if err := build(ctx, source, partial); err != nil {
		return "", err
	}
	return dir, os.Rename(partial, dir)
}

func exists(dir string) bool {
	_, err := os.Stat(dir)
	return !errors.Is(err, os.ErrNotExist)
}

// dirFor is the folder of this checkout's binaries in the user's cache.
func dirFor(source string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the user's cache folder: %w", err)
	}
	key, err := key(source)
	return filepath.Join(cache, "gracefulapp", "cluster", key), err
}
