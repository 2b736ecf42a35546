package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	ctrlwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"
)

// In config/certmanager another program creates the certificate. The operator must serve it, although the Secret of the rotation does not exist here.
func TestWebhookServesTheCertificateOfAnotherProgram(t *testing.T) {
	environment := &envtest.Environment{WebhookInstallOptions: envtest.WebhookInstallOptions{Paths: []string{"../config/webhook/manifests.yaml"}}}
	config := startEnvironment(t, environment)
	serving := environment.WebhookInstallOptions
	o := parse(t, "--webhook-cert-rotation=false", "--webhook-cert-dir="+serving.LocalServingCertDir, "--webhook-port="+strconv.Itoa(serving.LocalServingPort),
		"--webhook-configuration=validating-webhook-configuration", "--metrics-bind-address=0", "--health-probe-bind-address=0")
	certificates := make(chan struct{})
	mgr, err := ctrl.NewManager(config, managerOptions(o, certificates))
	if err != nil {
		t.Fatal(err)
	}
	if err := setupWebhook(t.Context(), mgr, o, certificates); err != nil {
		t.Fatal(err)
	}
	start(t, mgr)
	awaitReady(t, mgr.GetWebhookServer().StartedChecker())
	if err := servesCertificate(net.JoinHostPort("localhost", strconv.Itoa(serving.LocalServingPort)), filepath.Join(serving.LocalServingCertDir, "tls.crt")); err != nil {
		t.Error(err)
	}
}

// The success of the startup probe makes the kubelet mount the certificates, so it must not come before the certificates. The operator reads the Secret with
// the permissions of its Role.
func TestHealthzFailsUntilTheSecretHasCertificates(t *testing.T) {
	config := startEnvironment(t, &envtest.Environment{})
	api, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	operator := impersonate(t, api, config)
	certificates := map[string][]byte{corev1.TLSCertKey: []byte("x")}
	for _, other := range []types.NamespacedName{
		{Namespace: "default", Name: "a-neighbour"}, {Namespace: "default", Name: "neighbour"}, {Namespace: "kube-system", Name: "certificates"},
	} {
		createSecret(t, api, other, certificates)
	}
	key := types.NamespacedName{Namespace: "default", Name: "certificates"}
	check := certificatesCheck(operator, key, t.TempDir())
	probe := func(ctx context.Context) error {
		return check(httptest.NewRequestWithContext(ctx, http.MethodGet, "/healthz", nil))
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()

	if probe(t.Context()) == nil {
		t.Error("the probe succeeds without a Secret")
	}
	secret := createSecret(t, api, key, nil)
	for range 2 {
		if probe(t.Context()) == nil {
			t.Error("the probe succeeds while the Secret has no certificates")
		}
	}
	secret.Data = certificates
	if err := api.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	for _, ctx := range []context.Context{stopped, t.Context(), t.Context()} {
		if probe(ctx) == nil {
			t.Error("the probe succeeds before the kubelet can have seen the certificates")
		}
	}
	awaitReady(t, check)
	if err := api.Delete(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	if err := probe(t.Context()); err != nil {
		t.Errorf("the container would be restarted: %v", err)
	}
}

func TestHealthzSucceedsAtOnceWithMountedCertificates(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "tls.crt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := certificatesCheck(nil, types.NamespacedName{}, folder)(nil); err != nil {
		t.Error(err)
	}
}

func TestHealthzWaitsForTheRotation(t *testing.T) {
	environment := &envtest.Environment{WebhookInstallOptions: envtest.WebhookInstallOptions{Paths: []string{"../config/webhook/manifests.yaml"}}}
	config := startEnvironment(t, environment)
	probes, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := probes.Close(); err != nil { // the manager listens there
		t.Fatal(err)
	}
	o := parse(t, "--namespace=default", "--webhook-cert-dir="+t.TempDir(), "--webhook-configuration=validating-webhook-configuration",
		"--webhook-secret="+strings.ToLower(rand.Text()), "--metrics-bind-address=0", "--health-probe-bind-address="+probes.Addr().String())
	certificates := make(chan struct{})
	mgr, err := ctrl.NewManager(config, managerOptions(o, certificates))
	if err != nil {
		t.Fatal(err)
	}
	key := types.NamespacedName{Namespace: o.namespace, Name: o.webhookSecret}
	createSecret(t, mgr.GetClient(), key, nil)
	if err := setupWebhook(t.Context(), mgr, o, certificates); err != nil {
		t.Fatal(err)
	}
	start(t, mgr)
	awaitReady(t, func(r *http.Request) error {
		request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://"+probes.Addr().String()+"/healthz", nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		if response.StatusCode != http.StatusOK {
			err = errors.New(response.Status)
		}
		return errors.Join(err, response.Body.Close())
	})
	secret := &corev1.Secret{}
	if err := mgr.GetAPIReader().Get(t.Context(), key, secret); err != nil {
		t.Fatal(err)
	}
	if len(secret.Data[corev1.TLSCertKey]) == 0 {
		t.Error("/healthz succeeds before the Secret has certificates")
	}
}

// impersonate returns a client of a user who has, in the namespace default, the Role with which the operator manages its certificates.
func impersonate(t *testing.T, api client.Client, config *rest.Config) client.Client {
	t.Helper()
	text, err := os.ReadFile("../config/rbac/certificates_role.yaml")
	if err != nil {
		t.Fatal(err)
	}
	role := &rbacv1.Role{} // the first document
	if err := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), len(text)).Decode(role); err != nil {
		t.Fatal(err)
	}
	role.Namespace = "default"
	binding := &rbacv1.RoleBinding{
		ObjectMeta: role.ObjectMeta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "operator"}},
	}
	for _, object := range []client.Object{role, binding} {
		if err := api.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	config = rest.CopyConfig(config)
	config.Impersonate = rest.ImpersonationConfig{UserName: "operator"}
	operator, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return operator
}

func createSecret(t *testing.T, api client.Client, key types.NamespacedName, data map[string][]byte) *corev1.Secret {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}, Data: data}
	if err := api.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	return secret
}

// parse returns the options of a command line.
func parse(t *testing.T, args ...string) options {
	t.Helper()
	o := options{}
	flags := flag.NewFlagSet("manager", flag.ContinueOnError)
	o.bind(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return o
}

// startEnvironment starts an API server that ends with the test.
func startEnvironment(t *testing.T, environment *envtest.Environment) *rest.Config {
	t.Helper()
	environment.ControlPlaneStartTimeout = 2 * time.Minute
	config, err := environment.Start()
	t.Cleanup(func() {
		if err := environment.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// start runs the manager until the test ends.
func start(t *testing.T, mgr ctrl.Manager) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error)
	go func() { stopped <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
}

// awaitReady waits until the readiness check succeeds.
func awaitReady(t *testing.T, ready func(*http.Request) error) {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", nil)
	deadline, tick := time.After(time.Minute), time.NewTicker(100*time.Millisecond)
	defer tick.Stop()
	for err := ready(request); err != nil; err = ready(request) {
		select {
		case <-deadline:
			t.Fatal(err)
		case <-tick.C:
		}
	}
}

func servesCertificate(address, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	want, _ := pem.Decode(text)
	connection, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return err
	}
	defer func() { _ = connection.Close() }()
	if got := connection.ConnectionState().PeerCertificates[0].Raw; !slices.Equal(got, want.Bytes) {
		return fmt.Errorf("the webhook does not serve the certificate of %s", file)
	}
	return nil
}

var errStarted = errors.New("started")

type startedServer struct{ ctrlwebhook.Server }

func (startedServer) Start(context.Context) error { return errStarted }

// Code at the scaffold marker gets the webhook server before the manager starts, so the server itself must wait for the certificates.
func TestServerStartsWithCertificates(t *testing.T) {
	certificates := make(chan struct{})
	server := certifiedServer{Server: startedServer{}, certificates: certificates}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if err := server.Start(stopped); err != nil {
		t.Errorf("without certificates: %v", err)
	}
	close(certificates)
	if err := server.Start(t.Context()); !errors.Is(err, errStarted) {
		t.Errorf("with certificates: %v", err)
	}
}
