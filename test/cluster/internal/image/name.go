package image

import (
	"cmp"
	"strings"
)

// Names of the images that the cluster builds for itself.
const (
	Pause   = "docker.io/library/gracefulapp-pause:1"
	CoreDNS = "docker.io/library/gracefulapp-coredns:1.15.0"
)

const (
	// refName is OCI's annotation for the name of an image in an archive. containerdName is containerd's annotation, which it prefers.
	refName        = "org.opencontainers.image.ref.name"
	containerdName = "io.containerd.image.name"
)

// NameOf returns the name that the kubelet requests for an image of an archive, or "". It reads the annotations of the image's manifest.
func NameOf(annotations map[string]string) string {
	if name := cmp.Or(annotations[containerdName], annotations[refName]); name != "" {
		return normalise(name)
	}
	return ""
}

// normalise returns the full name that the kubelet requests for the image field of a pod: docker.io/library/hello:0.1.0 for `hello:0.1.0`.
// It removes the prefix localhost/, because buildah names the same image `localhost/hello:0.1.0`. The rules are those of
// github.com/distribution/reference.
func normalise(name string) string {
	name = strings.TrimPrefix(name, "localhost/")
	first, rest, hasSlash := strings.Cut(name, "/")
	isHost := hasSlash && (strings.ContainsAny(first, ".:") || first == "localhost")
	switch {
	case !hasSlash:
		name = "docker.io/library/" + name
	case first == "index.docker.io":
		name = "docker.io/" + rest
	case !isHost:
		name = "docker.io/" + name
	}
	if last := name[strings.LastIndex(name, "/")+1:]; !strings.ContainsAny(last, ":@") {
		name += ":latest"
	}
	return name
}
