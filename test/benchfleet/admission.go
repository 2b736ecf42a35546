package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	certutil "k8s.io/client-go/util/cert"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

const (
	// latencySamples is the number of apps that are created one after another for the quantiles.
	latencySamples = 200
	// kubectls is the number of `kubectl apply` that run at the same time.
	kubectls = 50
)

// admission has the figures of the manager program with its webhook.
type admission struct {
	Create  float64 `json:"createSeconds"` // as operator.Create
	With    latency `json:"withWebhook"`
	Without latency `json:"withoutWebhook"`
	Kubectl float64 `json:"kubectlSeconds"` // until the last of concurrent `kubectl apply` has ended
}

// latency has quantiles of the time of one creation of an app, in ms.
type latency struct{ P50, P99 float64 }

// measureAdmission measures the manager with its webhook on a control plane of its own.
func measureAdmission(ctx context.Context, o options, n, namespaces int) (out admission, err error) {
	o.webhook = true
	f, stop, err := startFleet(ctx, o, namespaces)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	f.apps = makeApps(n, f.namespaces)
	figures := operator{}
	if err := f.create(ctx, &figures); err != nil {
		return out, fmt.Errorf("create with admission: %w", err)
	}
	out.Create = figures.Create
	if out.Kubectl, err = f.kubectlApply(ctx); err != nil {
		return out, fmt.Errorf("kubectl apply: %w", err)
	}
	if out.With, err = f.createLatency(ctx, "with-"); err != nil {
		return out, err
	}
	if err := f.Delete(ctx, &admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: webhookConfiguration}}); err != nil {
		return out, err
	}
	out.Without, err = f.createLatency(ctx, "without-")
	return out, err
}

const (
	webhookConfiguration = "validating-webhook-configuration"
	webhookService       = "webhook-service"
	webhookNamespace     = "default"
)

// installWebhook creates the webhook configuration and a Service through which the API server reaches the manager on this machine. It returns the
// manager's flags.
func (f *fleet) installWebhook(ctx context.Context) ([]string, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return nil, err
	}
	certificate, key, err := certutil.GenerateSelfSignedCertKey(webhookService+"."+webhookNamespace+".svc", nil, nil)
	if err != nil {
		return nil, err
	}
	for name, content := range map[string][]byte{"tls.crt": certificate, "tls.key": key} {
		if err := os.WriteFile(filepath.Join(f.dir, name), content, 0o600); err != nil {
			return nil, err
		}
	}
	manifest, err := os.ReadFile(f.webhookManifest)
	if err != nil {
		return nil, err
	}
	configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	if err := yaml.UnmarshalStrict(manifest, configuration); err != nil {
		return nil, fmt.Errorf("%s: %w", f.webhookManifest, err)
	}
	service := configuration.Webhooks[0].ClientConfig.Service
	service.Name, service.Namespace, service.Port = webhookService, webhookNamespace, new(int32(port))
	configuration.Webhooks[0].ClientConfig.CABundle = certificate
	err = f.createEach(ctx, configuration, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: webhookNamespace, Name: webhookService},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"},
	})
	return []string{
		"--enable-webhook=true", "--webhook-cert-rotation=false", "--webhook-cert-dir=" + f.dir, fmt.Sprintf("--webhook-port=%d", port),
		"--webhook-configuration=" + webhookConfiguration,
	}, err
}

// awaitWebhook waits until the webhook answers without a warning: at the start it skips the dry runs.
func (f *fleet) awaitWebhook(ctx context.Context) error {
	app := warmUpApps(f.namespaces[0])[0]
	var last error
	err := poll(ctx, func() (bool, error) {
		before := f.skipped.Load()
		last = f.Create(ctx, app.DeepCopy(), client.DryRunAll)
		return last == nil && f.skipped.Load() == before, f.manager.check()
	})
	return errors.Join(err, last)
}

// createLatency creates apps one after another.
func (f *fleet) createLatency(ctx context.Context, prefix string) (latency, error) {
	var milliseconds []float64
	for i, app := range makeApps(latencySamples, f.namespaces) {
		app.Name = fmt.Sprintf("%s%d", prefix, i)
		start := time.Now()
		if err := f.Create(ctx, app); err != nil {
			return latency{}, err
		}
		milliseconds = append(milliseconds, 1000*time.Since(start).Seconds())
	}
	slices.Sort(milliseconds)
	return latency{P50: milliseconds[len(milliseconds)/2], P99: milliseconds[len(milliseconds)*99/100]}, nil
}

// kubectlApply runs many `kubectl apply` at the same time and returns the seconds until all have ended. Each must succeed.
func (f *fleet) kubectlApply(ctx context.Context) (float64, error) {
	kubeconfig := filepath.Join(f.dir, "kubeconfig") // startManager has written it
	var files []string
	for i, app := range makeApps(kubectls, f.namespaces) {
		app.Name = fmt.Sprintf("kubectl-%d", i)
		app.TypeMeta = metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "GracefulApp"}
		text, err := yaml.Marshal(app)
		if err != nil {
			return 0, err
		}
		files = append(files, filepath.Join(f.dir, app.Name+".yaml"))
		if err := os.WriteFile(files[i], text, 0o600); err != nil {
			return 0, err
		}
	}
	start := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for _, file := range files {
		group.Go(func() error {
			kubectl := filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl")
			output, err := exec.CommandContext(ctx, kubectl, "--kubeconfig="+kubeconfig, "apply", "-f", file).CombinedOutput()
			if err != nil {
				return fmt.Errorf("%w: %s", err, output)
			}
			return nil
		})
	}
	err := group.Wait()
	return time.Since(start).Seconds(), err
}
