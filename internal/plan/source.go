package plan

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// addedVariables has, by the path of each server, the number of derived variables that precede the user's.
type addedVariables map[string]int

func (in *input) countAddedVariables() addedVariables {
	added := addedVariables{}
	for _, s := range in.servers {
		added[s.path.String()] = len(s.derived.Env) - len(s.written.Env)
	}
	return added
}

// Source returns the field of the GracefulApp that decides a field of an owned object, or of a pod made from the template. The path "" stands for
// the whole object. If the user did not set the field, Source returns the nearest field that decides it.
func (p Plan) Source(kind, path string) string {
	switch kind {
	case "Deployment":
		return p.deploymentSource(path)
	case "Pod":
		if rest, ok := cutPath("spec", path); ok {
			return p.podSource(rest)
		}
		if rest, ok := cutPath("metadata", path); ok {
			return templatePath.Child("metadata").String() + rest
		}
		return podPath.String()
	case "Service":
		for _, same := range []string{"spec", "metadata.labels", "metadata.annotations"} {
			if _, ok := cutPath(same, path); ok {
				return specPath.Child("service").String() + "." + path
			}
		}
		return specPath.Child("service").String()
	}
	if source, ok := commonSource(path); ok {
		return source
	}
	return specPath.String()
}

// PodWarning returns a warning of the API server about a pod. If it begins with a field of the pod, PodWarning replaces that by the field of the GracefulApp.
func (p Plan) PodWarning(text string) string {
	path, rest, found := strings.Cut(text, ": ")
	isField := slices.ContainsFunc([]string{"spec", "metadata.labels", "metadata.annotations"}, func(part string) bool {
		_, ok := cutPath(part, path)
		return ok
	})
	if !found || !isField || strings.Contains(path, " ") {
		return text
	}
	return p.Source("Pod", path) + ": " + rest
}

var initContainerIndex = regexp.MustCompile(`^\.initContainers\[(\d+)\]`)

// podSource returns the field of the template that decides a field of the pods. The drain sidecar precedes the user's init containers.
func (p Plan) podSource(path string) string {
	if m := initContainerIndex.FindStringSubmatch(path); m != nil && p.Drain != nil {
		n, err := strconv.Atoi(m[1])
		switch rest := path[len(m[0]):]; {
		case err != nil:
		case n > 0:
			path = fmt.Sprintf(".initContainers[%d]%s", n-1, rest)
		case strings.HasPrefix(rest, ".resources"):
			return drainPath.Child("sidecar").String() + rest
		case rest == ".image":
			return drainImagePath.String()
		default:
			return drainPath.String()
		}
	}
	return p.addedVariables.userPath(podPath.String() + path)
}

func (p Plan) deploymentSource(path string) string {
	if rest, ok := cutPath("spec.template.spec", path); ok {
		return p.podSource(rest)
	}
	for _, same := range []string{
		"spec.template", "spec.selector", "spec.replicas", "spec.strategy", "spec.progressDeadlineSeconds", "spec.revisionHistoryLimit", "metadata.name",
	} {
		if _, ok := cutPath(same, path); ok {
			return path
		}
	}
	if source, ok := commonSource(path); ok {
		return source
	}
	return templatePath.String()
}

// commonSource returns the field of spec.commonMetadata from which a label or annotation of an owned object may come.
func commonSource(path string) (string, bool) {
	for _, part := range []string{"labels", "annotations"} {
		if rest, ok := cutPath("metadata."+part, path); ok {
			return commonMetadataPath.Child(part).String() + rest, true
		}
	}
	return "", false
}

// cutPath returns the rest of a path that leads to the part or into it.
func cutPath(part, path string) (string, bool) {
	rest, ok := strings.CutPrefix(path, part)
	return rest, ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

var envPath = regexp.MustCompile(`^(.*ontainers\[\d+\])\.env\[(\d+)\]`)

// userPath converts the path of a variable to its path in the user's template.
func (a addedVariables) userPath(path string) string {
	m := envPath.FindStringSubmatch(path)
	if m == nil {
		return path
	}
	added := a[m[1]]
	n, err := strconv.Atoi(m[2])
	if err != nil || n < added {
		return path
	}
	return fmt.Sprintf("%s.env[%d]%s", m[1], n-added, path[len(m[0]):])
}
