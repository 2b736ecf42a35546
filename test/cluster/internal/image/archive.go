// Package image writes image archives and renames the images in them, so that the nodes need not pull images.
package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
)

// Archive writes an OCI archive with an image that runs one static binary and has no other file. The same binary results in the same bytes.
func Archive(to io.Writer, name, binary string) error {
	layer, err := layerOf(binary)
	if err != nil {
		return err
	}
	entry := "/" + filepath.Base(binary)
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"config":       map[string]any{"Entrypoint": []string{entry}, "WorkingDir": "/"},
		"rootfs":       map[string]any{"type": "layers", "diff_ids": []string{digest(layer)}},
	})
	if err != nil {
		return err
	}
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2,
		"mediaType":     "application/vnd.oci.image.manifest.v1+json",
		"config":        descriptor("application/vnd.oci.image.config.v1+json", config),
		"layers":        []any{descriptor("application/vnd.oci.image.layer.v1.tar", layer)},
	})
	if err != nil {
		return err
	}
	main := descriptor("application/vnd.oci.image.manifest.v1+json", manifest)
	main["annotations"] = map[string]string{containerdName: name, refName: name}
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": []any{main}})
	if err != nil {
		return err
	}
	out := tar.NewWriter(to)
	for _, file := range []struct {
		name    string
		content []byte
	}{
		{"oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)},
		{"index.json", index},
		{blob(layer), layer}, {blob(config), config}, {blob(manifest), manifest},
	} {
		if err := writeFile(out, file.name, file.content, 0o644); err != nil {
			return err
		}
	}
	return out.Close()
}

func layerOf(binary string) ([]byte, error) {
	content, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	var layer bytes.Buffer
	out := tar.NewWriter(&layer)
	if err := writeFile(out, filepath.Base(binary), content, 0o755); err != nil {
		return nil, err
	}
	err = out.Close() // writes the end of the archive
	return layer.Bytes(), err
}

func writeFile(out *tar.Writer, name string, content []byte, mode int64) error {
	header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(content)), Mode: mode}
	if err := out.WriteHeader(header); err != nil {
		return err
	}
	_, err := out.Write(content)
	return err
}

func descriptor(mediaType string, content []byte) map[string]any {
	return map[string]any{"mediaType": mediaType, "digest": digest(content), "size": len(content)}
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func blob(content []byte) string {
	return "blobs/sha256/" + digest(content)[len("sha256:"):]
}
