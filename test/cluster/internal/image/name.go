package image

import "strings"

// The names that the cluster gives its own images.
const (
	Pause   = "docker.io/library/gracefulapp-pause:1"
	CoreDNS = "docker.io/library/gracefulapp-coredns:1.15.0"
)

// normalise makes of an image's name what the kubelet will ask for when a pod names it: `hello:0.1.0` means
// docker.io/library/hello:0.1.0. buildah writes `localhost/hello:0.1.0` for the same image, so that goes too.
// (The rules are those of github.com/distribution/reference.)
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
