package webhook

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/children"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

var (
	ctx context.Context
	api client.WithWatch
	// config reaches the API server.
	config *rest.Config
	// warned collects the warnings that a kubectl user would see.
	warned = &warnings{}
	// stopWebhook stops the manager, as if the operator were down.
	stopWebhook context.CancelFunc
)

const configurationName = "validating-webhook-configuration"

func TestWebhook(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(30 * time.Second)
	RunSpecs(t, "Webhook and CEL on a real API server")
}

var _ = BeforeSuite(func() {
	var cancel context.CancelFunc
	ctx, cancel = context.WithCancel(context.Background())
	DeferCleanup(cancel)
	scheme := runtime.NewScheme()
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())

	environment := &envtest.Environment{
		CRDDirectoryPaths:     []string{"../../config/crd/bases"},
		ErrorIfCRDPathMissing: true,
		// A busy machine needs more than the defaults of 20 s and 10 s.
		ControlPlaneStartTimeout: 2 * time.Minute, CRDInstallOptions: envtest.CRDInstallOptions{MaxTime: time.Minute},
		WebhookInstallOptions: envtest.WebhookInstallOptions{Paths: []string{"../../config/webhook/manifests.yaml"}},
	}
	testapp.EnableMutatingPolicies(environment)
	var err error
	config, err = environment.Start()
	DeferCleanup(environment.Stop) // before the check, because a failed start also leaves processes
	Expect(err).NotTo(HaveOccurred(), "make test sets KUBEBUILDER_ASSETS to a folder with etcd and kube-apiserver")

	installed := environment.WebhookInstallOptions
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:        scheme,
		NewClient:     children.NewClient,
		Cache:         cache.Options{ByObject: children.CacheByObject()},
		Metrics:       metricsserver.Options{BindAddress: "0"},
		WebhookServer: NewServer(ServerOptions{Host: installed.LocalServingHost, Port: installed.LocalServingPort, CertDir: installed.LocalServingCertDir, Shutdown: time.Second}),
	})
	Expect(err).NotTo(HaveOccurred())
	Expect(children.IndexFields(ctx, mgr.GetFieldIndexer())).To(Succeed())
	serves, err := SetupWithManager(ctx, mgr, Options{
		Configuration: configurationName, NodePorts: utilnet.PortRange{Base: 30_000, Size: 2768},
	})
	Expect(err).NotTo(HaveOccurred())
	managerContext, stop := context.WithCancel(ctx)
	stopped := make(chan struct{})
	stopWebhook = sync.OnceFunc(func() { stop(); <-stopped })
	DeferCleanup(stopWebhook) // before the API server stops, which waits for the manager's watches
	go func() {
		defer GinkgoRecover()
		defer close(stopped)
		Expect(mgr.Start(managerContext)).To(Succeed())
	}()

	config.WarningHandlerWithContext = warned
	api, err = client.NewWithWatch(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	Eventually(func() error { return serves(httptest.NewRequestWithContext(ctx, http.MethodGet, "/readyz", nil)) }).Should(Succeed())

	By("writing a secret path to the webhook configuration") // the pathRotator does so only for a Service, and envtest uses a URL
	configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	Expect(api.Get(ctx, client.ObjectKey{Name: configurationName}, configuration)).To(Succeed())
	configuration.Webhooks[0].ClientConfig.URL = new("https://" +
		net.JoinHostPort(installed.LocalServingHost, strconv.Itoa(installed.LocalServingPort)) + newPath())
	Expect(api.Update(ctx, configuration)).To(Succeed())
	Eventually(func(g Gomega) {
		g.Expect(api.Create(ctx, testapp.New(), client.DryRunAll)).To(Succeed())
		g.Expect(warned.take()).To(BeEmpty())
	}).Should(Succeed(), "the webhook must make dry runs")
})

type warnings struct{ all []string }

func (w *warnings) HandleWarningHeaderWithContext(_ context.Context, _ int, _, text string) {
	w.all = append(w.all, text)
}

func (w *warnings) take() []string {
	all := w.all
	w.all = nil
	return all
}
