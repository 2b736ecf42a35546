package cluster

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestMountsBelowAreDeepestFirstAndOfThisInstanceOnly(t *testing.T) {
	got := mountsBelow(`1 0 8:1 / / rw - ext4 /dev/sda rw
2 1 0:4 net:[1] /var/lib/c/dev/node1/netns rw - nsfs nsfs rw
3 1 0:5 / /var/lib/c/dev/a rw - tmpfs tmpfs rw
4 3 0:6 / /var/lib/c/dev/a/b rw - tmpfs tmpfs rw
5 1 0:7 / /var/lib/c/dev2/a rw - tmpfs tmpfs rw
`, "/var/lib/c/dev")
	want := []string{"/var/lib/c/dev/a/b", "/var/lib/c/dev/a", "/var/lib/c/dev/node1/netns"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestTailIsTheEnd(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.log")
	if err := os.WriteFile(file, []byte(strings.Repeat("early\n", 5000)+"last\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := strings.Split(tail(file), "\n"); len(got) != 12 || got[11] != "last" {
		t.Errorf("got %v", got)
	}
}
