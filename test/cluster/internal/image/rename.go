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

// maxIndex bounds the size of an archive's index, which Rename reads into memory.
const maxIndex = 4 << 20

// Rename copies an OCI or docker archive, and writes the names that the kubelet requests into the archive's index. It returns these names.
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
		if rename := indexes[header.Name]; rename != nil {
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
		return nil, errors.New("the archive has no image with a name: write it as docker-archive, or as oci-archive with a name (oci-archive:FILE:NAME:TAG)")
	}
	slices.Sort(names)
	return slices.Compact(names), out.Close()
}

// indexes are the files with the names of images. If an archive has both, as `docker save` writes it, containerd uses index.json.
var indexes = map[string]func([]byte) ([]byte, []string, error){
	"index.json":    renameIndex,
	"manifest.json": renameManifest,
}

// renameIndex rewrites the names in an OCI index and keeps all other fields.
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
		given := map[string]string{}
		for key, value := range annotations {
			given[key], _ = value.(string)
		}
		name := NameOf(given)
		if name == "" {
			continue
		}
		annotations[containerdName], annotations[refName] = name, name
		names = append(names, name)
	}
	renamed, err := json.Marshal(index)
	return renamed, names, err
}

// renameManifest rewrites the names in docker's list of images.
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
