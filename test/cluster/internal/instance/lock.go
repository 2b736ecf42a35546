package instance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Lock locks a folder for one command at a time and creates the folder if it is missing. The folder itself is the lock, so removing it also
// removes the lock. If the folder was removed while a caller waited, the caller creates and locks a new one.
func Lock(ctx context.Context, dir string) (unlock func(), err error) {
	for {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		f, err := os.Open(dir)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := flock(ctx, f); err != nil {
			_ = f.Close()
			return nil, fmt.Errorf("locking %s: %w", dir, err)
		}
		if isFolder(f, dir) {
			return func() { _ = f.Close() }, nil
		}
		_ = f.Close()
	}
}

// flock polls the lock, because a blocked flock(2) cannot be cancelled.
func flock(ctx context.Context, f *os.File) error {
	for printed := false; ; {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		if !printed {
			fmt.Fprintf(os.Stderr, "waiting for another command that has locked %s\n", f.Name())
			printed = true
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// isFolder reports whether the open file is still the folder at this path.
func isFolder(f *os.File, dir string) bool {
	locked, err := f.Stat()
	if err != nil {
		return false
	}
	now, err := os.Stat(dir)
	return err == nil && os.SameFile(locked, now)
}
