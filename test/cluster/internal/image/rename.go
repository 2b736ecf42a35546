package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

const (
	// refName is OCI's annotation of an image's name in an archive, containerdName is containerd's, which it prefers.
	refName        = "org.opencontainers.image.ref.name"
	containerdName = "io.containerd.image.name"
	// maxIndex bounds what is read into memory: an archive's table of contents is small.
	maxIndex = 4 << 20
)

// Rename copies an OCI or docker archive and writes the names that the kubelet will ask for into its table of contents.
// It returns these names.
func Rename(to io.Writer, from io.Reader) ([]string, error) {
	in, out := tar.NewReader(from), tar.NewWriter(to)
	var names []string
	for {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading the archive: %w", err)
		}
		var content io.Reader = in
		if rename := tables[header.Name]; rename != nil {
			raw, err := io.ReadAll(io.LimitReader(in, maxIndex))
			if err != nil {
				return nil, fmt.Errorf("reading %s of the archive: %w", header.Name, err)
			}
			renamed, found, err := rename(raw)
			if err != nil {
				return nil, fmt.Errorf("reading %s of the archive: %w", header.Name, err)
			}
			names = append(names, found...)
			header.Size, content = int64(len(renamed)), bytes.NewReader(renamed)
		}
		if err := out.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := io.Copy(out, content); err != nil {
			return nil, err
		}
	}
	if len(names) == 0 {
		return nil, errors.New("no named image in the archive: want a docker-archive or an oci-archive with a name (oci-archive:FILE:NAME:TAG)")
	}
	slices.Sort(names)
	return slices.Compact(names), out.Close()
}

// tables are the files that hold names; an archive that has both (docker save writes one) is imported by index.json.
var tables = map[string]func([]byte) ([]byte, []string, error){
	"index.json":    renameIndex,
	"manifest.json": renameManifest,
}

// renameIndex rewrites an OCI index. Fields that are not known here are kept as they are.
func renameIndex(raw []byte) ([]byte, []string, error) {
	var index map[string]any
	if err := json.Unmarshal(raw, &index); err != nil {
		return nil, nil, err
	}
	var names []string
	manifests, _ := index["manifests"].([]any)
	for _, m := range manifests {
		manifest, _ := m.(map[string]any)
		annotations, _ := manifest["annotations"].(map[string]any)
		name, _ := annotations[containerdName].(string)
		if name == "" {
			name, _ = annotations[refName].(string)
		}
		if name == "" {
			continue
		}
		name = normalise(name)
		annotations[containerdName], annotations[refName] = name, name
		names = append(names, name)
	}
	renamed, err := json.Marshal(index)
	return renamed, names, err
}

// renameManifest rewrites docker's list of images.
func renameManifest(raw []byte) ([]byte, []string, error) {
	var images []map[string]any
	if err := json.Unmarshal(raw, &images); err != nil {
		return nil, nil, err
	}
	var names []string
	for _, image := range images {
		tags, _ := image["RepoTags"].([]any)
		for n, tag := range tags {
			if name, ok := tag.(string); ok {
				tags[n] = normalise(name)
				names = append(names, normalise(name))
			}
		}
	}
	renamed, err := json.Marshal(images)
	return renamed, names, err
}
