package config_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

const (
	secretName        = "gracefulapp-webhook-server-cert"
	configurationName = "gracefulapp-validating-webhook-configuration"
)

// The manager's flags, the mounted Secret and the resource names in its Role must agree; kustomize prefixes only some of them.
func TestNamesAgree(t *testing.T) {
	deployment, _ := manager(t)
	if got := deployment.Spec.Template.Spec.Volumes[0].Secret.SecretName; got != secretName {
		t.Errorf("the Deployment mounts Secret %s", got)
	}
	if got := built[corev1.Secret](t, "default", "Secret")[0].Name; got != secretName {
		t.Errorf("the Secret is named %s", got)
	}
	configuration := built[admissionregistrationv1.ValidatingWebhookConfiguration](t, "default", "ValidatingWebhookConfiguration")[0]
	if configuration.Name != configurationName {
		t.Errorf("the webhook configuration is named %s", configuration.Name)
	}
	for _, webhook := range configuration.Webhooks {
		service := webhook.ClientConfig.Service
		if service.Name != "gracefulapp-webhook-service" || service.Namespace != namespace {
			t.Errorf("webhook %s calls Service %s in %s", webhook.Name, service.Name, service.Namespace)
		}
	}
	named := map[string]bool{}
	for _, role := range built[rbacv1.Role](t, "default", "Role") {
		for _, rule := range role.Rules {
			for _, name := range rule.ResourceNames {
				named[name] = true
			}
		}
	}
	for _, role := range built[rbacv1.ClusterRole](t, "default", "ClusterRole") {
		for _, rule := range role.Rules {
			for _, name := range rule.ResourceNames {
				named[name] = true
			}
		}
	}
	for _, name := range []string{secretName, configurationName, "gracefulapp.apps.gracefulapp.dev"} {
		if !named[name] {
			t.Errorf("no role names %s", name)
		}
	}
}

// Applying the manifests again must keep the certificates and the CA that the operator has written.
func TestApplyingAgainKeepsCertificates(t *testing.T) {
	ctx := t.Context()
	secret := &corev1.Secret{}
	if err := api.Get(ctx, client.ObjectKey{Namespace: namespace, Name: secretName}, secret); err != nil {
		t.Fatal(err)
	}
	secret.Data = map[string][]byte{"tls.crt": []byte("certificate")}
	if err := api.Update(ctx, secret); err != nil {
		t.Fatal(err)
	}
	configuration := webhookConfiguration(t)
	configuration.Webhooks[0].ClientConfig.CABundle = authority
	if err := api.Update(ctx, configuration); err != nil {
		t.Fatal(err)
	}

	for _, args := range [][]string{
		{"apply", "-k", "default"},
		{"apply", "-k", "default", "--server-side", "--force-conflicts"},
	} {
		if output, err := kubectl(args...); err != nil {
			t.Fatalf("%v: %s", err, output)
		}
		if err := api.Get(ctx, client.ObjectKeyFromObject(secret), secret); err != nil {
			t.Fatal(err)
		}
		if string(secret.Data["tls.crt"]) != "certificate" {
			t.Errorf("kubectl %s removes the data of the Secret", strings.Join(args, " "))
		}
		if len(webhookConfiguration(t).Webhooks[0].ClientConfig.CABundle) == 0 {
			t.Errorf("kubectl %s removes the CA from the webhook configuration", strings.Join(args, " "))
		}
	}
}

// While the operator does not run, the API server rejects a changed spec and accepts the changes that the webhook need not review.
func TestChangesThatNeedTheWebhook(t *testing.T) {
	ctx := t.Context()
	setWebhook(t, admissionregistrationv1.Ignore)
	app := sample(t)
	app.Finalizers = []string{"apps.gracefulapp.dev/test"}
	if err := api.Create(ctx, app); err != nil {
		t.Fatal(err)
	}
	setWebhook(t, admissionregistrationv1.Fail)

	if err := api.Create(ctx, named(sample(t), "second")); !isUnreachable(err) {
		t.Errorf("the API server accepts a create: %v", err)
	}
	for name, test := range map[string]struct {
		patch string
		asks  bool
	}{
		"replicas":                {`{"spec":{"replicas":5}}`, false},
		"labels":                  {`{"metadata":{"labels":{"a":"b"}}}`, false},
		"revisionHistoryLimit":    {`{"spec":{"revisionHistoryLimit":3}}`, false},
		"timing":                  {`{"spec":{"timing":{"preStopSeconds":7}}}`, true},
		"a field of the template": {`{"spec":{"template":{"metadata":{"annotations":{"a":"b"}}}}}`, true},
		"a service where none is": {`{"spec":{"service":{"spec":{"type":"NodePort"}}}}`, true},
		"paused":                  {`{"spec":{"paused":true}}`, true},
		"strategy":                {`{"spec":{"strategy":{"rollingUpdate":{"maxUnavailable":1}}}}`, true},
		"progressDeadlineSeconds": {`{"spec":{"progressDeadlineSeconds":900}}`, true},
		"common metadata":         {`{"spec":{"commonMetadata":{"labels":{"a":"b"}}}}`, true},
		"the adopt annotation":    {`{"metadata":{"annotations":{"apps.gracefulapp.dev/adopt":"true"}}}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			err := api.Patch(ctx, app.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(test.patch)), client.DryRunAll)
			if test.asks != isUnreachable(err) || !test.asks && err != nil {
				t.Errorf("asks the webhook: want %t, got %v", test.asks, err)
			}
		})
	}
	t.Run("an app that is being deleted", func(t *testing.T) {
		if err := api.Delete(ctx, app); err != nil {
			t.Fatal(err)
		}
		patch := `{"metadata":{"finalizers":null},"spec":{"timing":{"preStopSeconds":7}}}`
		if err := api.Patch(ctx, app, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
			t.Errorf("its finalizer cannot be removed: %v", err)
		}
	})
}

// The match conditions of the webhook and the policy list the fields of the spec. A change of a field that is missing there would be checked by
// neither.
func TestMatchConditionsCoverTheSpec(t *testing.T) {
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := api.Get(t.Context(), client.ObjectKey{Name: definition}, crd); err != nil {
		t.Fatal(err)
	}
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{}
	if err := api.Get(t.Context(), client.ObjectKey{Name: "gracefulapp-runs-pods"}, policy); err != nil {
		t.Fatal(err)
	}
	for name, expression := range map[string]string{
		"webhook": webhookConfiguration(t).Webhooks[0].MatchConditions[0].Expression,
		"policy":  policy.Spec.MatchConditions[0].Expression,
	} {
		for field := range crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"].Properties {
			// minReadySeconds is refused by CEL wherever it is written.
			wanted := field != "replicas" && field != "revisionHistoryLimit" && field != "minReadySeconds"
			if covered := comparesField(expression, ".spec.?"+field); covered != wanted {
				t.Errorf("%s: match condition compares spec.%s: %t, want %t", name, field, covered, wanted)
			}
		}
		for _, annotation := range []string{v1alpha1.AnnotationAdopt, v1alpha1.AnnotationDerivation, v1alpha1.AnnotationDrainImage} {
			if !comparesField(expression, ".metadata.?annotations[?'"+annotation+"']") {
				t.Errorf("%s: match condition does not compare the annotation %s", name, annotation)
			}
		}
	}
}

func comparesField(expression, path string) bool {
	return strings.Contains(expression+" ", "object"+path+" != oldObject"+path+" ")
}

// setWebhook points the webhook at a closed port, so that each call fails at once, sets its failure policy, and waits until the API server
// applies both.
func setWebhook(tb testing.TB, policy admissionregistrationv1.FailurePolicyType) {
	tb.Helper()
	configuration := webhookConfiguration(tb)
	before := configuration.DeepCopy().Webhooks
	for i := range configuration.Webhooks {
		configuration.Webhooks[i].FailurePolicy = &policy
		configuration.Webhooks[i].ClientConfig = admissionregistrationv1.WebhookClientConfig{URL: new("https://127.0.0.1:1/")}
	}
	if err := api.Update(tb.Context(), configuration); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		configuration := webhookConfiguration(tb)
		configuration.Webhooks = before
		if err := api.Update(context.Background(), configuration); err != nil {
			tb.Error(err)
		}
	})
	refuses := policy == admissionregistrationv1.Fail
	until(tb, func() error {
		if err := api.Create(tb.Context(), named(sample(tb), "probe"), client.DryRunAll); isUnreachable(err) != refuses {
			return fmt.Errorf("the API server does not apply the changed webhook configuration: %s", said(err))
		}
		return nil
	})
}

func isUnreachable(err error) bool {
	return err != nil && strings.Contains(err.Error(), "failed calling webhook")
}

func sample(tb testing.TB) *v1alpha1.GracefulApp {
	tb.Helper()
	raw, err := os.ReadFile("samples/apps_v1alpha1_gracefulapp.yaml")
	if err != nil {
		tb.Fatal(err)
	}
	app := &v1alpha1.GracefulApp{}
	if err := yaml.UnmarshalStrict(raw, app); err != nil {
		tb.Fatal(err)
	}
	app.Namespace = "default"
	return app
}

func named(app *v1alpha1.GracefulApp, name string) *v1alpha1.GracefulApp {
	app.Name = name
	return app
}

func webhookConfiguration(tb testing.TB) *admissionregistrationv1.ValidatingWebhookConfiguration {
	tb.Helper()
	configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	if err := api.Get(context.Background(), client.ObjectKey{Name: configurationName}, configuration); err != nil {
		tb.Fatal(err)
	}
	return configuration
}
