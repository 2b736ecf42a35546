// Package instance defines the properties of a cluster: its name, index, addresses and state folder.
package instance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
)

// Root is the folder of all instances. It does not depend on HOME: an instance belongs to the machine, and `down` must find the instances of
// every user.
const Root = "/var/lib/gracefulapp-cluster"

// Instance is one cluster. Its fields must suffice to remove it.
type Instance struct {
	Name string `json:"name"`
	// Index is part of the instance's addresses and of the name of its link on the machine.
	Index int `json:"index"`
	// BinDir is the folder of the instance's binaries.
	BinDir string `json:"binDir"`

	root string
}

// ErrAbsent means that no instance has that name.
var ErrAbsent = errors.New("no such instance")

// validName ensures that node names (NAME-1) are DNS labels and that the longest socket path is not too long.
var validName = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,22}[a-z0-9])?$`)

// CheckName returns an error if the name is invalid.
func CheckName(name string) error {
	if !validName.MatchString(name) {
		return fmt.Errorf("instance name %q: want 1 to 24 of a-z, 0-9 and -, starting with a letter, not ending with -", name)
	}
	return nil
}

// Open reads an instance. It returns ErrAbsent if the instance does not exist.
func Open(name string) (*Instance, error) { return open(Root, name) }

func open(root, name string) (*Instance, error) {
	i := &Instance{Name: name, root: root}
	raw, err := os.ReadFile(i.file())
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("instance %q: %w", name, ErrAbsent)
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, i); err != nil {
		return nil, fmt.Errorf("reading %s: %w", i.file(), err)
	}
	return i, nil
}

// Create returns the instance of that name. If it does not exist, Create creates it with a free index.
func Create(ctx context.Context, name string) (*Instance, error) {
	return create(ctx, Root, name)
}

func create(ctx context.Context, root, name string) (*Instance, error) {
	unlock, err := Lock(ctx, root)
	if err != nil {
		return nil, err
	}
	defer unlock()
	i, err := open(root, name)
	if err == nil || !errors.Is(err, ErrAbsent) {
		return i, err
	}
	i = &Instance{Name: name, root: root}
	if i.Index, err = freeIndex(root); err != nil {
		return nil, err
	}
	return i, i.Save()
}

// freeIndex returns the smallest index that no instance and no link on the machine has.
func freeIndex(root string) (int, error) {
	names, err := list(root)
	if err != nil {
		return 0, err
	}
	var taken []int
	for _, name := range names {
		if i, err := open(root, name); err == nil {
			taken = append(taken, i.Index)
		}
	}
	for index := range MaxInstances {
		link := (&Instance{Index: index}).HostLinkName()
		_, err := os.Stat(filepath.Join("/sys/class/net", link))
		if !slices.Contains(taken, index) && errors.Is(err, os.ErrNotExist) {
			return index, nil
		}
	}
	return 0, fmt.Errorf("there are %d instances already: remove one with `cluster down`", MaxInstances)
}

// List returns the names of this machine's instances.
func List() ([]string, error) { return list(Root) }

func list(root string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(root, "*", stateFile))
	var names []string
	for _, f := range files {
		names = append(names, filepath.Base(filepath.Dir(f)))
	}
	return names, err
}

// Save writes the instance atomically: `down` could not read a half-written file.
func (i *Instance) Save() error {
	raw, err := json.MarshalIndent(i, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(i.Dir(), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(i.file()+".new", append(raw, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(i.file()+".new", i.file())
}
