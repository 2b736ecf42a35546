package main

import (
	"regexp"
	"strings"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func TestHarden(t *testing.T) {
	for name, test := range map[string]struct {
		property         string
		schema           apiextensionsv1.JSONSchemaProps
		minimum, maximum float64
		maxLength        int64
		pattern          string
	}{
		"a port":               {"port", apiextensionsv1.JSONSchemaProps{XIntOrString: true}, 0, 65535, 63, ""},
		"a target port":        {"targetPort", apiextensionsv1.JSONSchemaProps{XIntOrString: true}, 0, 65535, 63, ""},
		"pods or a percentage": {"maxSurge", apiextensionsv1.JSONSchemaProps{XIntOrString: true}, 0, 1_000_000, 63, percentages["maxSurge"]},
		"hardened before": {"maxUnavailable", apiextensionsv1.JSONSchemaProps{XIntOrString: true, Pattern: percentages["maxUnavailable"]},
			0, 1_000_000, 63, percentages["maxUnavailable"]},
		"another count":       {"count", apiextensionsv1.JSONSchemaProps{XIntOrString: true}, -2147483648, 2147483647, 63, ""},
		"a quantity":          {"limit", apiextensionsv1.JSONSchemaProps{XIntOrString: true, Pattern: "x"}, -9e18, 9e18, 32, quantityPattern},
		"an int32":            {"n", apiextensionsv1.JSONSchemaProps{Type: "integer", Format: "int32"}, -2147483648, 2147483647, 0, ""},
		"an int64":            {"n", apiextensionsv1.JSONSchemaProps{Type: "integer", Format: "int64"}, -9e18, 9e18, 0, ""},
		"keeps narrower ones": {"n", apiextensionsv1.JSONSchemaProps{Type: "integer", Minimum: new(1.0), Maximum: new(2.0)}, 1, 2, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			root := apiextensionsv1.JSONSchemaProps{Properties: map[string]apiextensionsv1.JSONSchemaProps{test.property: test.schema}}
			harden(&root)
			got := root.Properties[test.property]
			if *got.Minimum != test.minimum || *got.Maximum != test.maximum || got.Pattern != test.pattern {
				t.Errorf("got %v to %v, pattern %q", *got.Minimum, *got.Maximum, got.Pattern)
			}
			if test.maxLength > 0 && (got.MaxLength == nil || *got.MaxLength != test.maxLength) {
				t.Errorf("got maxLength %v, want %d", got.MaxLength, test.maxLength)
			}
		})
	}
}

// ParseQuantity parses every quantity that the hardened schema admits, and takes less than a second.
func FuzzQuantityPattern(f *testing.F) {
	for _, seed := range []string{
		"1", "+1", "-1", "1.", ".5", "0.5", "100m", "1Ki", "1E", "1e3", "1E-3", "1e999", "-1e-999", "1e1.5", "1e.5", "1e", "1e9999", ".", "",
		"9223372036854775807Ei", "99999999999999999999999999999999", "00000000000000000000000000000001", "0.0000000000000000000000000001n",
	} {
		f.Add(seed)
	}
	pattern := regexp.MustCompile(quantityPattern)
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > maxQuantityLength || !pattern.MatchString(text) {
			t.Skip()
		}
		began := time.Now()
		quantity, err := resource.ParseQuantity(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if _, err := quantity.MarshalJSON(); err != nil {
			t.Fatalf("writing %q: %v", text, err)
		}
		if took := time.Since(began); took > time.Second {
			t.Fatalf("%q takes %s", text, took)
		}
	})
}

func TestPercentages(t *testing.T) {
	for _, test := range []struct {
		field, text string
		admitted    bool
	}{
		{"maxSurge", "0%", true}, {"maxSurge", "25%", true}, {"maxSurge", "200%", true}, {"maxSurge", "9999%", true},
		{"maxSurge", "10000%", false}, {"maxSurge", "25", false}, {"maxSurge", "-1%", false}, {"maxSurge", "2.5%", false}, {"maxSurge", "", false},
		{"maxUnavailable", "0%", true}, {"maxUnavailable", "99%", true}, {"maxUnavailable", "100%", true}, {"maxUnavailable", "101%", false},
		{"maxUnavailable", "%", false}, {"maxUnavailable", "05%", false},
	} {
		if got := regexp.MustCompile(percentages[test.field]).MatchString(test.text); got != test.admitted {
			t.Errorf("%s %q is admitted: %t, want %t", test.field, test.text, got, test.admitted)
		}
	}
}

func TestTimePatternMatchesGoTimes(t *testing.T) {
	pattern := regexp.MustCompile(timePattern)
	for _, text := range []string{"2020-01-01T00:00:00Z", "2020-01-01T00:00:00.123456Z", "2020-01-01T00:00:00+02:00"} {
		if !pattern.MatchString(text) {
			t.Errorf("%s does not match", text)
		}
	}
	for _, text := range []string{"2020-01-01T00:00:00", "2020-01-01", "2020-01-01 00:00:00Z", "2020-01-01T00:00:00z" + strings.Repeat(" ", 3)} {
		if pattern.MatchString(text) {
			t.Errorf("%s matches", text)
		}
	}
}
