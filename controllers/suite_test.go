package controllers

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

var (
	ctx    context.Context
	config *rest.Config
	scheme = runtime.NewScheme()
	// api has no cache, so a test reads the stored objects.
	api client.WithWatch
)

func TestControllers(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(30 * time.Second)
	ctrl.SetLogger(GinkgoLogr)
	RunSpecs(t, "Controllers on a real API server")
}

var _ = BeforeSuite(func() {
	var cancel context.CancelFunc
	ctx, cancel = context.WithCancel(context.Background())
	DeferCleanup(cancel)
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())

	environment := &envtest.Environment{
		CRDDirectoryPaths:     []string{"../config/crd/bases"},
		ErrorIfCRDPathMissing: true,
		// A busy machine needs more than the defaults of 20 s and 10 s.
		ControlPlaneStartTimeout: 2 * time.Minute, CRDInstallOptions: envtest.CRDInstallOptions{MaxTime: time.Minute},
	}
	environment.ControlPlane.GetAPIServer().Configure().
		Set("service-cluster-ip-range", "10.0.0.0/16"). // the default has only 254 addresses for the Services of the whole suite
		Set("watch-cache", "false")                     // lists come from etcd and do not wait for the watch cache
	testapp.EnableMutatingPolicies(environment)
	var err error
	config, err = environment.Start()
	DeferCleanup(environment.Stop) // before the check, because a failed start also leaves processes
	Expect(err).NotTo(HaveOccurred(), "make test sets KUBEBUILDER_ASSETS to a folder with etcd and kube-apiserver")
	api, err = client.NewWithWatch(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
})
