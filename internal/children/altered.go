package children

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
)

// AlteredError says that the API server stores something else than what is applied, each time: a mutating policy.
type AlteredError struct {
	Kind, Name string
	// Fields that differ, in words: both values of each.
	Fields []string
}

func (e *AlteredError) Error() string {
	return fmt.Sprintf("a policy of the cluster changes %s %s whenever it is applied: %s; exempt it from the policy, or declare what the "+
		"policy allows", e.Kind, e.Name, strings.Join(e.Fields, ", "))
}

// maxAlteredFields keeps the message readable.
const maxAlteredFields = 4

// differences are the leaves of want, a tree of JSON, that the answer has not, or has otherwise. What the answer has beside them is defaulted, or
// somebody else's.
func differences(want any, answer runtime.ApplyConfiguration) ([]string, error) {
	a, err := asTree(answer)
	if err != nil {
		return nil, err
	}
	var found []string
	compare("", want, a, &found)
	slices.Sort(found)
	return found[:min(len(found), maxAlteredFields)], nil
}

func asTree(configuration runtime.ApplyConfiguration) (tree any, err error) {
	data, err := json.Marshal(configuration)
	if err == nil {
		err = json.Unmarshal(data, &tree)
	}
	return tree, err
}

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
			compare(fmt.Sprintf("%s[%d]", path, i), value, counterpart(value, i, a), found)
		}
	default:
		if want != answer {
			*found = append(*found, fmt.Sprintf("%s is %s in place of %s", path, text(answer), text(want)))
		}
	}
}

// counterpart finds the item of a list by what identifies it in Kubernetes' lists; where nothing does, by its place.
func counterpart(item any, i int, in []any) any {
	wanted, ok := item.(map[string]any)
	for _, key := range []string{"name", "containerPort", "port", "topologyKey", "uid"} {
		if ok && wanted[key] != nil {
			for _, candidate := range in {
				if c, ok := candidate.(map[string]any); ok && c[key] == wanted[key] {
					return c
				}
			}
			return nil
		}
	}
	if i < len(in) {
		return in[i]
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
