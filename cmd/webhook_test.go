package main

import (
	"context"
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
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
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
	o := options{}
	flags := flag.NewFlagSet("manager", flag.ContinueOnError)
	o.bind(flags)
	if err := flags.Parse([]string{
		"--webhook-cert-rotation=false", "--webhook-cert-dir=" + serving.LocalServingCertDir, "--webhook-port=" + strconv.Itoa(serving.LocalServingPort),
		"--webhook-configuration=validating-webhook-configuration", "--metrics-bind-address=0", "--health-probe-bind-address=0",
	}); err != nil {
		t.Fatal(err)
	}
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

// The success of the startup probe makes the kubelet mount the certificates, so it must not come before the certificates.
func TestHealthzFailsUntilTheSecretHasCertificates(t *testing.T) {
	api, err := client.New(startEnvironment(t, &envtest.Environment{}), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	key := types.NamespacedName{Namespace: "default", Name: "certificates"}
	check := certificatesCheck(api, key)
	probe := func() error {
		return check(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/healthz", nil))
	}

	if probe() == nil {
		t.Error("the probe succeeds without a Secret")
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
	other := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: "other"}, Data: map[string][]byte{corev1.TLSCertKey: []byte("x")}}
	for _, s := range []*corev1.Secret{secret, other} {
		if err := api.Create(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if probe() == nil {
			t.Error("the probe succeeds while the Secret has no certificates")
		}
	}
	secret.Data = other.Data
	if err := api.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	if probe() == nil {
		t.Error("the probe succeeds before the kubelet can have seen the certificates")
	}
	if err := api.Delete(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	if err := probe(); err != nil {
		t.Errorf("the container would be restarted: %v", err)
	}
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
