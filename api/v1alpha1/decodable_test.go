package v1alpha1_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// Values that JSON can write, by the kind of node that they are meant for. Every node gets those of its kind, written as
// they stand here.
var (
	nastyNumbers = []string{
		"0", "-0", "-0.0", "-1", "1.0", "1.5", "1e3", "1e30", "1e300", "65536", "2147483647", "2147483648", "-2147483649",
		"4294967297", "9000000000000000001", "9223372036854774784", "9223372036854775807", "9223372036854775808",
		"-9223372036854775808", "-9223372036854775809", "18446744073709551617", "99999999999999999999999999999999999999",
	}
	nastyQuantities = []string{
		`"1"`, `"+1"`, `"-1"`, `"1."`, `".5"`, `"."`, `"+"`, `"1e3"`, `"1E-3"`, `"1e+999"`, `"1e-999"`, `"1e1.5"`, `"1e.5"`,
		`"1e"`, `"1e9999"`, `"1e-9999"`, `"1e2147483648"`, `"1e99999999999999999999"`, `"1Ki"`, `"1ki"`, `"1KI"`, `"0x10"`,
		`"NaN"`, `"Inf"`, `" 1"`, `"1 "`, `"1\n"`, `"\u0661"`, `"1\u0000"`, `"1,5"`, `"9223372036854775808Ei"`,
		`"99999999999999999999999999999999"`, `"-99999999999999999999999999999999"`, `"0.00000000000000000000000000001n"`,
		`"` + strings.Repeat("9", 40) + `"`, `"` + strings.Repeat("0", 4000) + `"`,
	}
	nastyNames = []string{`"x"`, `"80"`, `"1.5"`, `"100%"`, `"-1"`, `"4294967297"`}
	nastyTexts = []string{`"\u0000"`, `"\ud800"`, `"` + strings.Repeat("x", 4000) + `"`}
	nastyTimes = []string{
		`"2020-01-01"`, `"2020-01-01T00:00:00"`, `"2020-01-01t00:00:00z"`, `"2020-01-01 00:00:00Z"`, `"2020-01-01T24:00:00Z"`,
		`"2020-01-01T00:00:60Z"`, `"2020-02-30T00:00:00Z"`, `"0000-01-01T00:00:00Z"`, `"9999-12-31T23:59:59Z"`,
		`"2020-01-01T00:00:00.1234567890123Z"`, `"2020-01-01T00:00:00,5Z"`, `"2020-01-01T00:00:00+24:00"`,
		`"2020-01-01T00:00:00+0100"`, `"2020-01-01T00:00Z"`, `"10000-01-01T00:00:00Z"`,
	}
	otherKinds = []string{"null", "true", "0", `""`, "[]", "[null]", "{}", `{"a":null}`}
)

func nastyValues(schema *apiextensionsv1.JSONSchemaProps) []string {
	switch {
	case schema.XIntOrString:
		return slices.Concat(otherKinds, nastyNumbers, nastyNames, nastyTexts, nastyQuantities)
	case schema.Type == "integer":
		return slices.Concat(otherKinds, nastyNumbers, []string{`"1"`})
	case schema.Format == "date-time":
		return slices.Concat(otherKinds, nastyTimes)
	case schema.Type == "string":
		return slices.Concat(otherKinds, nastyTexts)
	default:
		return otherKinds
	}
}

// alwaysRefused is a field that is in the schema only to be refused with a message, so it has no harmless value.
const alwaysRefused = "spec.minReadySeconds"

// TestNothingUndecodableIsStored puts every nasty value into every node of the schema and sends it to a real API server.
// Our Go types must decode every object that the API server would store: otherwise one object would fail every LIST of the
// kind, and the operator would stop for every app in the cluster.
func TestNothingUndecodableIsStored(t *testing.T) {
	root := readCRD(t).Spec.Versions[0].Schema.OpenAPIV3Schema
	api := newRawAPI(t, root)
	for _, part := range []string{"spec", "status"} {
		property := root.Properties[part]
		all := slices.DeleteFunc(nodes([]string{part}, &property), func(n node) bool { return n.String() == alwaysRefused })
		t.Run(part, func(t *testing.T) {
			began, sent, stored := time.Now(), 0, 0
			var mu sync.Mutex
			inParallel(all, func(n node) {
				s, k := api.tryAll(t, root, n)
				mu.Lock()
				defer mu.Unlock()
				sent, stored = sent+s, stored+k
			})
			t.Logf("%d nodes, %d documents, %d of them accepted and decoded, %s", len(all), sent, stored, time.Since(began).Round(time.Second))
		})
	}
	api.list(t)
}

// rawAPI writes documents byte by byte, so that no client rounds or refuses a number before the API server sees it.
type rawAPI struct {
	client *rest.RESTClient
	decode runtime.Decoder
	// version is the resourceVersion of the object that receives status writes. A dry run does not change it.
	version string
	// stuck is set when decoding a document takes too long. The decoding goroutine cannot be stopped.
	stuck atomic.Bool

	mu   sync.Mutex
	kept map[string]bool
}

func newRawAPI(t *testing.T, root *apiextensionsv1.JSONSchemaProps) *rawAPI {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	codecs := serializer.NewCodecFactory(scheme)
	unlimited := rest.CopyConfig(config)
	unlimited.QPS = -1
	unlimited.GroupVersion = &v1alpha1.GroupVersion
	unlimited.NegotiatedSerializer = codecs.WithoutConversion()
	client, err := rest.UnversionedRESTClientFor(unlimited)
	if err != nil {
		t.Fatal(err)
	}
	api := &rawAPI{client: client, decode: codecs.UniversalDeserializer(), kept: map[string]bool{}}
	t.Cleanup(func() {
		if err := client.Delete().AbsPath(crdPath).Do(context.Background()).Error(); err != nil { // with -count, the next repetition stores them again
			t.Error(err)
		}
	})
	spec := root.Properties["spec"]
	body, err := api.create(document("status", map[string]any{"spec": smallestObject(&spec)}), false)
	if err != nil {
		t.Fatalf("creating the object that receives status writes: %s", body)
	}
	var created v1alpha1.GracefulApp
	if err := json.Unmarshal(body, &created); err != nil {
		t.Fatal(err)
	}
	api.version = created.ResourceVersion
	return api
}

// tryAll sends all nasty values for a node, and before them a harmless one, which must arrive there: otherwise the node
// was not reached and the rest proves nothing.
func (a *rawAPI) tryAll(t *testing.T, root *apiextensionsv1.JSONSchemaProps, n node) (sent, accepted int) {
	t.Helper()
	raw, err := json.Marshal(harmless(n.schema))
	if err != nil {
		t.Error(err)
		return
	}
	body, err := a.try(root, n, raw)
	if err != nil {
		t.Errorf("%s: a harmless %s is refused: %s", n, raw, body)
		return
	}
	var returned map[string]any
	if err := json.Unmarshal(body, &returned); err != nil {
		t.Errorf("%s: %v", n, err)
	}
	if _, found := at(returned, n.steps); !found {
		t.Errorf("%s: a harmless %s does not arrive: %s", n, raw, body)
	}
	for _, value := range nastyValues(n.schema) {
		if a.stuck.Load() {
			return sent, accepted
		}
		sent++
		body, err := a.try(root, n, json.RawMessage(value))
		switch {
		case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		case err != nil:
			t.Errorf("%s: %.60s: unexpected answer: %v", n, value, err)
		default:
			accepted++
			a.checkDecodes(t, n, value, body)
		}
	}
	return sent, accepted
}

// try returns the object that the API server would store if the node had the value.
func (a *rawAPI) try(root *apiextensionsv1.JSONSchemaProps, n node, value json.RawMessage) ([]byte, error) {
	doc, _ := withValue(root, n.steps, value).(map[string]any)
	if n.steps[0] == "status" {
		spec := root.Properties["spec"]
		doc["spec"] = smallestObject(&spec)
		doc = document("status", doc)
		doc["metadata"] = map[string]any{"name": "status", "resourceVersion": a.version}
		return a.put(doc)
	}
	return a.create(document("dry", doc), true)
}

func (a *rawAPI) create(doc map[string]any, dryRun bool) ([]byte, error) {
	raw, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	request := a.client.Post().AbsPath(crdPath).Param("fieldValidation", "Ignore").
		SetHeader("Content-Type", "application/json").Body(raw)
	if dryRun {
		request = request.Param("dryRun", "All")
	}
	return request.Do(context.Background()).Raw()
}

func (a *rawAPI) put(doc map[string]any) ([]byte, error) {
	raw, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	return a.client.Put().AbsPath(crdPath, "status", "status").Param("fieldValidation", "Ignore").Param("dryRun", "All").
		SetHeader("Content-Type", "application/json").Body(raw).Do(context.Background()).Raw()
}

// checkDecodes reads an answer as encoding/json and as client-go do. The first accepted document of each kind and value
// is also really stored, for list.
func (a *rawAPI) checkDecodes(t *testing.T, n node, value string, body []byte) {
	t.Helper()
	const patience = 5 * time.Second
	read := make(chan error, 1)
	go func() {
		_, _, err := a.decode.Decode(body, nil, nil)
		read <- errors.Join(err, json.Unmarshal(body, &v1alpha1.GracefulApp{}))
	}()
	select {
	case err := <-read:
		if err != nil {
			t.Errorf("%s: %.60s is accepted, and Go cannot read it: %v", n, value, err)
		}
	case <-time.After(patience):
		a.stuck.Store(true)
		t.Errorf("%s: %.60s is accepted, and Go needs more than %s to read it; ending the test", n, value, patience)
		return
	}
	if n.steps[0] != "spec" {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	kind := fmt.Sprint(n.schema.Type, n.schema.Format, n.schema.XIntOrString, value)
	if a.kept[kind] {
		return
	}
	a.kept[kind] = true
	var doc map[string]any
	if err := json.Unmarshal(body, &doc); err != nil {
		t.Error(err)
		return
	}
	if _, err := a.create(document(fmt.Sprintf("kept-%d", len(a.kept)), map[string]any{"spec": doc["spec"]}), false); err != nil {
		t.Errorf("%s: %.60s passes the dry run and cannot be stored: %v", n, value, err)
	}
}

// list reads all that was really stored by a typed LIST, as the operator's cache does.
func (a *rawAPI) list(t *testing.T) {
	t.Helper()
	var apps v1alpha1.GracefulAppList
	if err := a.client.Get().AbsPath(crdPath).Do(context.Background()).Into(&apps); err != nil {
		t.Fatalf("listing %d stored objects: %v", len(a.kept)+1, err)
	}
	if len(apps.Items) != len(a.kept)+1 {
		t.Errorf("%d objects were stored, %d are listed", len(a.kept)+1, len(apps.Items))
	}
	t.Logf("%d objects with different values really stored and listed", len(apps.Items))
}

// document gives a spec or a status its type and a name.
func document(name string, doc map[string]any) map[string]any {
	doc["apiVersion"] = v1alpha1.GroupVersion.String()
	doc["kind"] = "GracefulApp"
	doc["metadata"] = map[string]any{"name": name}
	return doc
}

func inParallel[T any](items []T, do func(T)) {
	const workers = 8
	var group sync.WaitGroup
	queue := make(chan T)
	for range workers {
		group.Go(func() {
			for item := range queue {
				do(item)
			}
		})
	}
	for _, item := range items {
		queue <- item
	}
	close(queue)
	group.Wait()
}
