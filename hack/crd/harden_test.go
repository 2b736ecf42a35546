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
		"a port":               {property: "port", schema: apiextensionsv1.JSONSchemaProps{XIntOrString: true}, maximum: 65535, maxLength: 63},
		"a target port":        {property: "targetPort", schema: apiextensionsv1.JSONSchemaProps{XIntOrString: true}, maximum: 65535, maxLength: 63},
		"pods or a percentage": {property: "maxSurge", schema: apiextensionsv1.JSONSchemaProps{XIntOrString: true}, maximum: 1_000_000, maxLength: 63, pattern: percentages["maxSurge"]},
		"hardened before": {property: "maxUnavailable", schema: apiextensionsv1.JSONSchemaProps{XIntOrString: true, Pattern: percentages["maxUnavailable"]},
			minimum: 0, maximum: 1_000_000, maxLength: 63, pattern: percentages["maxUnavailable"]},
		"another count":       {property: "count", schema: apiextensionsv1.JSONSchemaProps{XIntOrString: true}, minimum: -2147483648, maximum: 2147483647, maxLength: 63},
		"a quantity":          {property: "limit", schema: apiextensionsv1.JSONSchemaProps{XIntOrString: true, Pattern: "x"}, minimum: -9e18, maximum: 9e18, maxLength: 32, pattern: quantityPattern},
		"an int32":            {property: "n", schema: apiextensionsv1.JSONSchemaProps{Type: "integer", Format: "int32"}, minimum: -2147483648, maximum: 2147483647},
		"an int64":            {property: "n", schema: apiextensionsv1.JSONSchemaProps{Type: "integer", Format: "int64"}, minimum: -9e18, maximum: 9e18},
		"keeps narrower ones": {property: "n", schema: apiextensionsv1.JSONSchemaProps{Type: "integer", Minimum: new(1.0), Maximum: new(2.0)}, minimum: 1, maximum: 2},
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
