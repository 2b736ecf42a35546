package webhook

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

func configurationWith(path *string) *admissionregistrationv1.ValidatingWebhookConfiguration {
	return &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "ours"},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{Name: webhookName, ClientConfig: admissionregistrationv1.WebhookClientConfig{
			Service: &admissionregistrationv1.ServiceReference{Name: "webhook", Path: path},
		}}},
	}
}

const generatedPath = "/validate-apps-gracefulapp-dev-v1alpha1-gracefulapp"

func TestPathGuard(t *testing.T) {
	answers := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) })
	}
	g := &pathGuard{}
	handler := guarded(g, answers("with dry run"), answers("without"))
	post := func(path string) (int, string) {
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodPost, path, strings.NewReader("{}")))
		return recorder.Code, strings.TrimSpace(recorder.Body.String())
	}
	g.update(configurationWith(nil))
	g.update(configurationWith(new("/")))
	g.update(configurationWith(new(generatedPath))) // as of an earlier version, or of a tool that writes the manifest back
	for _, path := range []string{"/", "/secret", generatedPath} {
		if _, got := post(path); got != "without" {
			t.Errorf("%s, which is no secret path: %s", path, got)
		}
	}
	first, second, third := newPath(), newPath(), newPath()
	g.update(configurationWith(&first))
	g.update(configurationWith(&second))
	for path, want := range map[string]string{second: "with dry run", first: "with dry run", "/": "without", second[:len(second)-1]: "without", second + "/": "without"} {
		if _, got := post(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	g.update(configurationWith(&third))
	if _, got := post(first); got != "without" {
		t.Error("the path before the previous one is still accepted")
	}
	refused := 0
	for range 2 * unauthenticatedBurst {
		if code, _ := post("/"); code == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused == 0 {
		t.Error("requests on an unknown path are not limited")
	}
	if _, got := post(third); got != "with dry run" {
		t.Error("requests on an unknown path block the API server")
	}
}

// The API server would send the next review on an open connection, also to a replica that has just stopped.
func TestEachAnswerEndsItsConnection(t *testing.T) {
	g, path := &pathGuard{}, newPath()
	g.update(configurationWith(&path))
	answer := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	server := httptest.NewServer(guarded(g, answer, answer))
	defer server.Close()
	for _, path := range []string{path, "/"} {
		response, err := http.Post(server.URL+path, "application/json", strings.NewReader("{}")) //nolint:noctx // the test's own server
		if err != nil {
			t.Fatal(err)
		}
		if _ = response.Body.Close(); !response.Close {
			t.Errorf("%s: the connection stays open", path)
		}
	}
}

// Clients on an unknown path that start a request and do not finish it must neither fill the memory nor block the API server.
func TestUnauthenticatedRequestsThatStall(t *testing.T) {
	reading := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	g, path := &pathGuard{}, newPath()
	g.update(configurationWith(&path))
	server := httptest.NewServer(guarded(g, reading, reading))
	defer server.Close()
	codes := make(chan int)
	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	for range 3 * unauthenticatedAtOnce {
		body, stalled := io.Pipe()
		defer func() { _ = stalled.Close() }()
		go func() {
			request, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL, body)
			if err != nil {
				panic(err)
			}
			code := 0
			if response, err := http.DefaultClient.Do(request); err == nil {
				code = response.StatusCode
				_ = response.Body.Close()
			}
			codes <- code
		}()
	}
	for range 2 * unauthenticatedAtOnce { // the others wait for the rest of their bodies
		if code := <-codes; code != http.StatusTooManyRequests {
			t.Errorf("beyond %d concurrent requests, a request on an unknown path gets %d", unauthenticatedAtOnce, code)
		}
	}
	response, err := http.Post(server.URL+path, "application/json", strings.NewReader("{}")) //nolint:noctx // the test's own server
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		t.Errorf("requests on an unknown path block the API server: %s", response.Status)
	}
	for range unauthenticatedAtOnce {
		if code := <-codes; code == http.StatusOK || code == http.StatusTooManyRequests {
			t.Errorf("an incomplete review gets %d", code)
		}
	}
}

func TestPathRotator(t *testing.T) {
	scheme := runtime.NewScheme()
	utilruntime.Must(admissionregistrationv1.AddToScheme(scheme))
	configuration := configurationWith(nil)
	other := configurationWith(new("/validate-other")).Webhooks[0]
	other.Name = "others.apps.gracefulapp.dev"
	configuration.Webhooks = append(configuration.Webhooks, other)
	r := &pathRotator{Client: fake.NewClientBuilder().WithScheme(scheme).WithObjects(configuration).Build(), name: "ours"}
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	path := func(after time.Duration) string {
		t.Helper()
		if err := r.rotate(t.Context(), now.Add(after)); err != nil {
			t.Fatal(err)
		}
		c := &admissionregistrationv1.ValidatingWebhookConfiguration{}
		if err := r.Get(t.Context(), client.ObjectKey{Name: "ours"}, c); err != nil {
			t.Fatal(err)
		}
		if got := *c.Webhooks[1].ClientConfig.Service.Path; got != "/validate-other" {
			t.Errorf("the path of another kind's webhook became %s", got)
		}
		return pathsOf(c)[0]
	}
	first := path(0)
	if len(first) < 40 {
		t.Errorf("%s can be guessed", first)
	}
	if problems := validation.IsDNS1123Subdomain(first[1:]); len(problems) > 0 {
		t.Errorf("the API server would reject %s: %v", first, problems)
	}
	if again := path(pathLifetime - time.Second); again != first {
		t.Error("the path is replaced too early")
	}
	if path(pathLifetime) == first {
		t.Error("the path is not replaced")
	}
	if (&pathRotator{Client: r.Client, name: "absent"}).rotate(t.Context(), now) != nil {
		t.Error("a missing configuration is an error")
	}
}
