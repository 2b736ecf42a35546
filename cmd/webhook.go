package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/cert-controller/pkg/rotator"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	ctrlwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/gracefulapp/gracefulapp/internal/webhook"
)

// certifiedServer is a webhook server that starts as soon as its certificates are mounted. Without them, Start would fail and stop the manager.
type certifiedServer struct {
	ctrlwebhook.Server
	certificates <-chan struct{}
}

func (s certifiedServer) Start(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.certificates:
		return s.Server.Start(ctx)
	}
}

// setupWebhook registers the webhook. It closes certificates as soon as they are mounted.
func setupWebhook(ctx context.Context, mgr ctrl.Manager, o options, certificates chan struct{}) error {
	if err := awaitCertificates(mgr, o, certificates); err != nil {
		return err
	}
	ready, err := webhook.SetupWithManager(ctx, mgr, webhook.Options{Configuration: o.webhookConfiguration, NodePorts: o.nodePorts, DrainProxyImage: o.drainProxyImage})
	if err != nil {
		return err
	}
	return mgr.AddReadyzCheck("webhook", ready)
}

// awaitCertificates closes mounted when the certificates are mounted. With certificate rotation, the operator creates and renews them itself. Otherwise
// the kubelet starts the pod only when another program has created their Secret.
func awaitCertificates(mgr ctrl.Manager, o options, mounted chan struct{}) error {
	if !o.webhookCertRotation {
		close(mounted)
		return nil
	}
	secret := types.NamespacedName{Namespace: o.namespace, Name: o.webhookSecret}
	if err := mgr.AddHealthzCheck("certificates", certificatesCheck(mgr.GetAPIReader(), secret, o.webhookCertDir)); err != nil {
		return err
	}
	return rotator.AddRotator(mgr, &rotator.CertRotator{
		ControllerName: o.webhookSecret, // unique in the process, as each test that runs a rotation needs it
		SecretKey:      secret,
		CertDir:        o.webhookCertDir,
		CAName:         "gracefulapp-ca",
		CAOrganization: "gracefulapp",
		DNSName:        o.webhookService + "." + o.namespace + ".svc",
		IsReady:        mounted,
		Webhooks:       []rotator.WebhookInfo{{Name: o.webhookConfiguration, Type: rotator.Validating}},
		FieldOwner:     "gracefulapp-certificates",
		// Every replica serves, so every replica waits for the certificates.
		RequireLeaderElection: false,
	})
}

// kubeletDelay is a margin for the kubelet, whose own watch of the Secret may see the certificates later than the operator's check.
const kubeletDelay = 2 * time.Second

// certificatesCheck returns the check of the startup probe: it fails until it has seen certificates in the Secret, and succeeds after that. The kubelet
// mounts a Secret that has changed when it next synchronizes the pod, which it does when the startup probe succeeds, and otherwise only once in a minute or
// more. If the folder has certificates already, as in each pod but the first ones of an installation, the check succeeds at once.
func certificatesCheck(api client.Reader, secret types.NamespacedName, folder string) healthz.Checker {
	var succeed atomic.Bool
	seen := sync.OnceFunc(func() { time.AfterFunc(kubeletDelay, func() { succeed.Store(true) }) })
	if _, err := os.Stat(filepath.Join(folder, corev1.TLSCertKey)); err == nil {
		succeed.Store(true)
	}
	return func(r *http.Request) error {
		if succeed.Load() {
			return nil
		}
		secrets := &corev1.SecretList{} // the operator has no permission to get it
		if err := api.List(r.Context(), secrets, client.InNamespace(secret.Namespace), client.MatchingFields{"metadata.name": secret.Name}); err != nil {
			return err
		}
		if len(secrets.Items) == 1 && len(secrets.Items[0].Data[corev1.TLSCertKey]) > 0 {
			seen()
		}
		return fmt.Errorf("waiting for certificates in the Secret %s", secret)
	}
}
