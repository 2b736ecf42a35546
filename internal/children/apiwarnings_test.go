package children

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// warningServer answers each request with its body, and with warnings about the pods.
func warningServer(t *testing.T, warnings ...string) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, text := range warnings {
			w.Header().Add("Warning", `299 - "`+text+`"`)
		}
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		w.WriteHeader(http.StatusCreated)
		if _, err := io.Copy(w, r.Body); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

// TestCollectedWarnings: the warnings in the response to one request go to its context, each once, and to no other context.
func TestCollectedWarnings(t *testing.T) {
	server := warningServer(t, "would violate PodSecurity", "deprecated", "deprecated")
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Pod"), meta.RESTScopeNamespace)
	config := &rest.Config{Host: server.URL}
	api, err := NewClient(config, client.Options{Scheme: scheme.Scheme, Mapper: mapper})
	if err != nil {
		t.Fatal(err)
	}
	create := func(ctx context.Context) {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "hello"}}
		if err := api.Create(ctx, pod, client.DryRunAll); err != nil {
			t.Error(err)
		}
	}
	first, collected := collectWarnings(t.Context())
	_, other := collectWarnings(t.Context())
	create(first)
	create(t.Context())
	if diff := cmp.Diff([]string{"would violate PodSecurity", "deprecated"}, collected.texts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(other.texts) > 0 {
		t.Errorf("another request got %q", other.texts)
	}
	if config.WarningHandlerWithContext != nil {
		t.Error("NewClient has changed the given configuration")
	}
}
