package instance

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
)

func TestConcurrentCreatesGetDistinctIndexes(t *testing.T) {
	root := t.TempDir()
	var all sync.WaitGroup
	for _, name := range []string{"a", "b", "c", "d"} {
		all.Go(func() {
			if _, err := create(context.Background(), root, name); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	seen := map[int]bool{}
	for _, name := range []string{"a", "b", "c", "d"} {
		i, err := open(root, name)
		if err != nil {
			t.Fatal(err)
		}
		if seen[i.Index] {
			t.Errorf("index %d twice", i.Index)
		}
		seen[i.Index] = true
	}
}

func TestCreateKeepsAnExistingInstance(t *testing.T) {
	root := t.TempDir()
	first, err := create(context.Background(), root, "dev")
	if err != nil {
		t.Fatal(err)
	}
	first.BinDir = "/bin"
	if err := first.Save(); err != nil {
		t.Fatal(err)
	}
	again, err := create(context.Background(), root, "dev")
	if err != nil || again.BinDir != "/bin" || again.Index != first.Index {
		t.Errorf("got %+v, %v", again, err)
	}
}

func TestOpenReturnsErrAbsent(t *testing.T) {
	if _, err := open(t.TempDir(), "dev"); !errors.Is(err, ErrAbsent) {
		t.Errorf("got %v", err)
	}
}

func TestLockCreatesItsFolderAgainAfterItWasRemoved(t *testing.T) {
	dir := t.TempDir() + "/dev"
	unlock, err := Lock(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error)
	go func() {
		unlock, err := Lock(context.Background(), dir)
		if err == nil {
			defer unlock()
			_, err = os.Stat(dir)
		}
		got <- err
	}()
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	unlock()
	if err := <-got; err != nil {
		t.Errorf("the waiting caller of Lock has no folder: %v", err)
	}
}

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{
		"dev": true, "e2e-1": true, "a": true, "": false, "Dev": false, "1a": false, "a-": false, "../x": false,
		"abcdefghijklmnopqrstuvwxyz": false, // the path of a socket would be too long
	} {
		if got := CheckName(name) == nil; got != ok {
			t.Errorf("%q: got %v, want %v", name, got, ok)
		}
	}
}
