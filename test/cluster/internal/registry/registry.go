// Package registry is a cluster's image registry. The nodes ask it for every image before they ask the registry of the image's name, so that an
// installation pulls its images as on any cluster.
package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/gracefulapp/gracefulapp/test/cluster/internal/image"
)

// Serve serves an empty registry at an address, such as ":5000", until the context is done. Its images are in memory.
func Serve(ctx context.Context, address string) error {
	server := &http.Server{
		Addr: address, Handler: registry.New(registry.Logger(log.New(io.Discard, "", 0))), ReadHeaderTimeout: time.Minute,
	}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the registry: %w", err)
	}
	return nil
}

// Push copies the images of an OCI archive, which may have several architectures, to the registry at an address. It returns their names.
func Push(ctx context.Context, address, archive string) ([]string, error) {
	dir, err := os.MkdirTemp("", "push-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if output, err := exec.CommandContext(ctx, "tar", "-C", dir, "-xf", archive).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("unpacking: %w\n%s", err, bytes.TrimSpace(output))
	}
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, fmt.Errorf("not an OCI archive: %w", err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, m := range manifest.Manifests {
		given := image.NameOf(m.Annotations)
		if given == "" {
			return nil, errors.New("the archive has an image without a name: write it as oci-archive:FILE:NAME:TAG")
		}
		if err := push(ctx, address, given, index, m); err != nil {
			return nil, fmt.Errorf("copying %s to the registry of node 1; if it does not answer, run `cluster down` and `cluster up`: %w", given, err)
		}
		names = append(names, given)
	}
	return names, nil
}

// push copies one image. Only the registry of its name changes.
func push(ctx context.Context, address, given string, index v1.ImageIndex, m v1.Descriptor) error {
	from, err := name.NewTag(given)
	if err != nil {
		return err
	}
	to, err := name.NewTag(address+"/"+from.RepositoryStr()+":"+from.TagStr(), name.Insecure)
	if err != nil {
		return err
	}
	if m.MediaType.IsIndex() {
		all, err := index.ImageIndex(m.Digest)
		if err != nil {
			return err
		}
		return remote.WriteIndex(to, all, remote.WithContext(ctx))
	}
	one, err := index.Image(m.Digest)
	if err != nil {
		return err
	}
	return remote.Write(to, one, remote.WithContext(ctx))
}
