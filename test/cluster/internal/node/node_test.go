package node

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gracefulapp/gracefulapp/test/cluster/internal/instance"
)

func TestNamespaceMounts(t *testing.T) {
	got := namespaceMounts(`1 0 8:1 / / rw - ext4 /dev/sda rw
2 1 0:4 net:[4026532000] /run/netns/a\040b rw shared:5 - nsfs nsfs rw
3 1 0:5 / /run/netns rw - tmpfs tmpfs rw
4 1 0:4 net:[4026532001] /var/lib/x/netns rw - nsfs nsfs rw
`)
	if want := []string{"/run/netns/a b", "/var/lib/x/netns"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestLogIsRotatedAtItsLimit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.log")
	log, err := openLog(path)
	if err != nil {
		t.Fatal(err)
	}
	block := bytes.Repeat([]byte("x"), maxLog/4)
	for range 11 {
		if _, err := log.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	for file, want := range map[string]int64{path: 3 * maxLog / 4, path + ".1": maxLog} {
		if info, err := os.Stat(file); err != nil || info.Size() != want {
			t.Errorf("%s: got %v, %v, want %d", file, info, err, want)
		}
	}
}

func TestNodesDifferOnlyInTheControlPlane(t *testing.T) {
	i := &instance.Instance{Name: "dev"}
	names := func(all []component) (names []string) {
		for _, c := range all {
			names = append(names, c.name)
			if c.ready == nil || !strings.HasPrefix(c.argv[0], instance.InsideBin+"/") {
				t.Errorf("%s: no readiness, or not from the instance's binaries: %v", c.name, c.argv)
			}
		}
		return names
	}
	first, second := names(components(i, 1)), names(components(i, 2))
	if !reflect.DeepEqual(first[4:], second) || first[0] != "etcd" {
		t.Errorf("got %v and %v", first, second)
	}
}

func TestStatusWriterWritesEachUpdateAndTheTimeOfTheLastStateChange(t *testing.T) {
	file := filepath.Join(t.TempDir(), "status.json")
	b := &statusWriter{file: file, all: []Status{{Name: "etcd", State: Waiting}}}
	b.update("etcd", func(s *Status) { s.State = Ready })
	since := b.all[0].Since
	b.update("etcd", func(s *Status) { s.LastEnd = "exit code 1" })
	if since.IsZero() || !b.all[0].Since.Equal(since) {
		t.Error("Since must follow State alone")
	}
	if raw, err := os.ReadFile(file); err != nil || !strings.Contains(string(raw), "exit code 1") {
		t.Errorf("got %s, %v", raw, err)
	}
}

// A process needs exactly one: a second one would take the exit status of the first one's child, for example in the next run of -count=2.
var onlyChildren = sync.OnceValue(newChildren)

func TestStartReturnsTheExitStatus(t *testing.T) {
	c := onlyChildren()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = null.Close() }()
	_, ended, err := c.start([]string{"/bin/sh", "-c", "exit 3"}, nil, null)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case status := <-ended:
		if got := describe(status); got != "exit code 3" {
			t.Errorf("got %s", got)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("no exit status after 10 s")
	}
	pid, ended, err := c.start([]string{"/bin/sleep", "60"}, nil, null)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if got := describe(<-ended); got != "killed by killed" {
		t.Errorf("got %s", got)
	}
}
