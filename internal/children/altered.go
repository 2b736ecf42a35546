package children

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// AlteredError is returned if the API server stores other values than the operator applied, because an admission policy, a webhook or a disabled
// feature gate changes them.
type AlteredError struct {
	Kind, Name string
	// Fields describes each field that differs, with the stored and the applied value.
	Fields []string
}

func (e *AlteredError) Error() string {
	return fmt.Sprintf("an admission policy, a webhook or a disabled feature gate changes %s %s each time the operator applies it: %s; exempt the object from "+
		"the policy, enable the feature gate, or remove the field or set a value that the API server keeps", e.Kind, e.Name, strings.Join(e.Fields, ", "))
}

func isNotAltered(err error) bool { return !errors.As(err, new(*AlteredError)) }

// maxAlteredFields limits how many fields the message lists, so that it stays readable.
const maxAlteredFields = 4

// differences lists the fields of want that are missing from the API server's answer or have another value there, and the list entries that
// the answer repeats. It ignores all other fields of the answer: they are defaults, or belong to other field managers.
func differences(want runtime.ApplyConfiguration, answer *unstructured.Unstructured) ([]string, error) {
	wanted := unstructured.Unstructured{} // its numbers have the same types as the answer's
	if err := plan.Convert(want, &wanted); err != nil {
		return nil, err
	}
	var found []string
	compare("", wanted.Object, answer.Object, &found)
	slices.Sort(found)
	return found[:min(len(found), maxAlteredFields)], nil
}

// unstoredField is a field that an API server without the feature gate ContainerStopSignals drops. The webhook warns about it, so it is not reported
// as a change by a policy.
const unstoredField = ".lifecycle.stopSignal"

// isSecret matches the fields whose values must not stand in a status or an event: environment variables, and headers of probes and hooks.
var isSecret = regexp.MustCompile(`\.(env|httpHeaders)\[\d+\]\.value$`)

func compare(path string, want, answer any, found *[]string) {
	switch w := want.(type) {
	case map[string]any:
		a, _ := answer.(map[string]any)
		for key, value := range w {
			compare(strings.TrimPrefix(path+"."+key, "."), value, a[key], found)
		}
	case []any:
		a, _ := answer.([]any)
		for i, value := range w {
			counterparts := counterparts(w, i, a)
			if len(counterparts) > 1 {
				*found = append(*found, fmt.Sprintf("%s[%d] occurs %d times: %s", path, i, len(counterparts), text(counterparts)))
			} else {
				compare(fmt.Sprintf("%s[%d]", path, i), value, counterparts[0], found)
			}
		}
	default:
		if answer == nil && strings.HasSuffix(path, unstoredField) {
			return
		}
		switch {
		case want == answer:
		case isSecret.MatchString(path):
			*found = append(*found, path+" has another value")
		default:
			*found = append(*found, fmt.Sprintf("%s is %s instead of %s", path, text(answer), text(want)))
		}
	}
}

// counterparts returns the entries of the list in that have the same key as items[i], or a single nil if no entry has it. If items[i] has no unique
// key, it returns the entry at the same index: headers and affinity terms may repeat a name or a topology key.
func counterparts(items []any, i int, in []any) []any {
	key := keyOf(items[i])
	if key == nil || len(withKey(items, key)) > 1 {
		if i < len(in) {
			return in[i : i+1]
		}
		return []any{nil}
	}
	if found := withKey(in, key); found != nil {
		return found
	}
	return []any{nil}
}

func withKey(items []any, key []string) []any {
	var found []any
	for _, item := range items {
		if slices.Equal(keyOf(item), key) {
			found = append(found, item)
		}
	}
	return found
}

// listKeys are the merge keys of Kubernetes lists. More specific keys come first: a volume mount, for example, has a mountPath and a name.
var listKeys = [][]string{
	{"mountPath"}, {"devicePath"}, {"containerPort", "protocol"}, {"port", "protocol"}, {"topologyKey", "whenUnsatisfiable"}, {"uid"}, {"ip"}, {"name"},
}

// keyOf returns the merge key of a list entry and its values, or nil if the entry has no merge key.
func keyOf(item any) []string {
	fields, ok := item.(map[string]any)
	if !ok {
		return nil
	}
	for _, names := range listKeys {
		if fields[names[0]] == nil {
			continue
		}
		var key []string
		for _, name := range names {
			value := fields[name]
			if name == "protocol" && value == nil {
				value = string(corev1.ProtocolTCP) // the API server's default
			}
			key = append(key, name, fmt.Sprint(value))
		}
		return key
	}
	return nil
}

func text(value any) string {
	if value == nil {
		return "absent"
	}
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(data)
}
