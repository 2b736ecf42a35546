package charts_test

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/jsonpath"
)

const (
	deployment = "Deployment gracefulapp-controller-manager"
	pod        = ".spec.template"
	container  = pod + ".spec.containers[0]"
)

// valueTest sets a value, and reads its effect from an object by JSONPath.
type valueTest struct {
	value, json string // of --set-json
	with        string // another value that must be set too
	object      string // kind and name
	path        string // "": the object must be missing
	want        string
}

var valueTests = []valueTest{
	{value: "nameOverride", json: `"web"`, object: deployment, path: ".spec.selector.matchLabels['app\\.kubernetes\\.io/name']", want: "web"},
	{value: "fullnameOverride", json: `"ga"`, object: "Deployment ga-controller-manager", path: pod + ".spec.serviceAccountName", want: "ga-controller-manager"},
	{value: "image.registry", json: `"example.com:5000/a"`, with: "image.tag=v1", object: deployment, path: container + ".image", want: "example.com:5000/a/gracefulapp:v1"},
	{value: "image.registry", json: `""`, with: "image.tag=v1", object: deployment, path: container + ".image", want: "gracefulapp:v1"},
	{value: "image.repository", json: `"operator"`, with: "image.tag=v1", object: deployment, path: container + ".image", want: "ghcr.io/gracefulapp/operator:v1"},
	{value: "image.tag", json: `"v1"`, object: deployment, path: container + ".image", want: "ghcr.io/gracefulapp/gracefulapp:v1"},
	{value: "image.digest", json: `"` + digest + `"`, with: "image.tag=v1", object: deployment, path: container + ".image", want: "ghcr.io/gracefulapp/gracefulapp@" + digest},
	{value: "image.pullPolicy", json: `"Always"`, object: deployment, path: container + ".imagePullPolicy", want: "Always"},
	{value: "drainProxy.image.registry", json: `"example.com"`, with: "drainProxy.image.tag=v1", object: deployment, path: drainProxy, want: "example.com/gracefulapp-drain-proxy:v1"},
	{value: "drainProxy.image.repository", json: `"proxy"`, with: "drainProxy.image.tag=v1", object: deployment, path: drainProxy, want: "ghcr.io/gracefulapp/proxy:v1"},
	{value: "drainProxy.image.tag", json: `"v1"`, object: deployment, path: drainProxy, want: "ghcr.io/gracefulapp/gracefulapp-drain-proxy:v1"},
	{value: "drainProxy.image.digest", json: `"` + digest + `"`, object: deployment, path: drainProxy, want: "ghcr.io/gracefulapp/gracefulapp-drain-proxy@" + digest},
	{value: "imagePullSecrets", json: `[{"name":"registry"}]`, object: deployment, path: pod + ".spec.imagePullSecrets[*].name", want: "registry"},
	{value: "replicas", json: "3", object: deployment, path: ".spec.replicas", want: "3"},
	{value: "logLevel", json: `"debug"`, object: deployment, path: container + ".args[4]", want: "--zap-log-level=debug"},
	{value: "logLevel", json: "3", object: deployment, path: container + ".args[4]", want: "--zap-log-level=3"},
	{value: "watchNamespaces", json: `["default","kube-public"]`, object: deployment, path: container + ".args[4]", want: "--watch-namespaces=default,kube-public"},
	{value: "watchNamespaces", json: `["default"]`, object: "ClusterRoleBinding gracefulapp-manager-rolebinding"},
	{value: "resources", json: `{"limits":{"memory":"1Gi"}}`, object: deployment, path: container + ".resources.limits.memory", want: "1Gi"},
	{value: "nodeSelector", json: `{"disk":"ssd"}`, object: deployment, path: pod + ".spec.nodeSelector.disk", want: "ssd"},
	{value: "tolerations", json: `[{"key":"a","operator":"Exists"}]`, object: deployment, path: pod + ".spec.tolerations[*].key", want: "a"},
	{value: "affinity", json: `{"nodeAffinity":{}}`, object: deployment, path: pod + ".spec.affinity", want: `{"nodeAffinity":{}}`},
	{
		value: "topologySpreadConstraints", json: `[{"maxSkew":2,"topologyKey":"zone","whenUnsatisfiable":"DoNotSchedule"}]`,
		object: deployment, path: pod + ".spec.topologySpreadConstraints[*].maxSkew", want: "2",
	},
	{value: "priorityClassName", json: `"high"`, object: deployment, path: pod + ".spec.priorityClassName", want: "high"},
	{value: "podDisruptionBudget.enabled", json: "false", object: "PodDisruptionBudget gracefulapp-controller-manager"},
	{value: "podDisruptionBudget.maxUnavailable", json: `"50%"`, object: "PodDisruptionBudget gracefulapp-controller-manager", path: ".spec.maxUnavailable", want: "50%"},
	{value: "serviceAccount.create", json: "false", object: "ServiceAccount gracefulapp-controller-manager"},
	{value: "serviceAccount.name", json: `"ops"`, object: deployment, path: pod + ".spec.serviceAccountName", want: "ops"},
	{value: "serviceAccount.name", json: `"ops"`, object: "RoleBinding gracefulapp-certificates-rolebinding", path: ".subjects[*].name", want: "ops"},
	{
		value: "serviceAccount.name", json: `"ops"`, object: "ValidatingAdmissionPolicy gracefulapp-owned-objects",
		path: ".spec.matchConditions[?(@.name=='not-by-the-operator')].expression",
		want: "!(request.userInfo.username.startsWith('system:serviceaccount:') && request.userInfo.username.endsWith(':ops'))",
	},
	{value: "serviceAccount.annotations", json: `{"a":"b"}`, object: "ServiceAccount gracefulapp-controller-manager", path: ".metadata.annotations.a", want: "b"},
	{value: "rbac.create", json: "false", object: "ClusterRole gracefulapp-manager-role"},
	{value: "rbac.create", json: "false", object: "RoleBinding gracefulapp-leader-election-rolebinding"},
	{
		value: "rbac.aggregateToUserRoles", json: "false", object: "ClusterRole gracefulapp-gracefulapp-editor-role",
		path: ".metadata.labels['rbac\\.authorization\\.k8s\\.io/aggregate-to-edit']", want: "",
	},
	{value: "commonLabels", json: `{"a":"b"}`, object: "CustomResourceDefinition gracefulapps.apps.gracefulapp.dev", path: ".metadata.labels.a", want: "b"},
	{value: "annotations", json: `{"a":"b"}`, object: deployment, path: ".metadata.annotations.a", want: "b"},
	{value: "podLabels", json: `{"a":"b"}`, object: deployment, path: pod + ".metadata.labels.a", want: "b"},
	{value: "podAnnotations", json: `{"a":"b"}`, object: deployment, path: pod + ".metadata.annotations.a", want: "b"},
	{value: "podSecurityContext", json: `{"runAsUser":null}`, object: deployment, path: pod + ".spec.securityContext.runAsUser", want: ""},
	{value: "securityContext", json: `{"runAsUser":7}`, object: deployment, path: container + ".securityContext.runAsUser", want: "7"},
	{value: "extraArgs", json: `["--zap-devel"]`, object: deployment, path: container + ".args[4]", want: "--zap-devel"},
	{value: "extraEnv", json: `[{"name":"A","value":"b"}]`, object: deployment, path: container + ".env[?(@.name=='A')].value", want: "b"},
	{value: "extraVolumes", json: `[{"name":"tmp","emptyDir":{}}]`, object: deployment, path: pod + ".spec.volumes[1].name", want: "tmp"},
	{
		value: "extraVolumeMounts", json: `[{"name":"tmp","mountPath":"/tmp/x"}]`, with: "extraVolumes[0].name=tmp",
		object: deployment, path: container + ".volumeMounts[1].mountPath", want: "/tmp/x",
	},
	{value: "webhook.timeoutSeconds", json: "9", object: webhooks, path: ".webhooks[*].timeoutSeconds", want: "9"},
	{value: "webhook.failurePolicy", json: `"Ignore"`, object: webhooks, path: ".webhooks[*].failurePolicy", want: "Ignore"},
	{value: "certManager.enabled", json: "true", object: "Secret gracefulapp-webhook-server-cert"},
	{value: "networkPolicy.enabled", json: "true", object: "NetworkPolicy gracefulapp-allow-metrics-traffic", path: ".spec.ingress[*].ports[*].port", want: "metrics"},
	{
		value: "networkPolicy.webhookFrom", json: `[{"ipBlock":{"cidr":"10.0.0.0/28"}}]`, with: "networkPolicy.enabled=true",
		object: "NetworkPolicy gracefulapp-allow-webhook-traffic", path: ".spec.ingress[*].from[*].ipBlock.cidr", want: "10.0.0.0/28",
	},
	{
		value: "networkPolicy.metricsFrom", json: `[{"podSelector":{"matchLabels":{"app":"prometheus"}}}]`, with: "networkPolicy.enabled=true",
		object: "NetworkPolicy gracefulapp-allow-metrics-traffic", path: ".spec.ingress[*].from[*].podSelector.matchLabels.app", want: "prometheus",
	},
	{value: "serviceMonitor.enabled", json: "true", object: "ServiceMonitor gracefulapp-controller-manager-metrics", path: ".spec.endpoints[*].port", want: "https"},
	{
		value: "serviceMonitor.labels", json: `{"release":"prometheus"}`, with: "serviceMonitor.enabled=true",
		object: "ServiceMonitor gracefulapp-controller-manager-metrics", path: ".metadata.labels.release", want: "prometheus",
	},
	{value: "crds.install", json: "false", object: "CustomResourceDefinition gracefulapps.apps.gracefulapp.dev"},
	{value: "crds.install", json: "false", object: "ValidatingAdmissionPolicyBinding gracefulapp-runs-pods"},
	{
		value: "crds.keep", json: "false", object: "ValidatingAdmissionPolicy gracefulapp-runs-pods",
		path: ".metadata.annotations['helm\\.sh/resource-policy']", want: "",
	},
}

const (
	digest     = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	drainProxy = container + ".env[?(@.name=='DRAIN_PROXY_IMAGE')].value"
	webhooks   = "ValidatingWebhookConfiguration gracefulapp-validating-webhook-configuration"
)

// others returns the other values that the test sets, for --set. Most tests leave out the CRD, whose size would make them slow.
func (v valueTest) others() string {
	if strings.HasPrefix(v.object, "CustomResourceDefinition") || strings.HasPrefix(v.object, "ValidatingAdmissionPolicy") {
		return v.with
	}
	return strings.TrimPrefix(v.with+",crds.install=false", ",")
}

func (v valueTest) render(t *testing.T) map[string]unstructured.Unstructured {
	t.Helper()
	return byName(objectsOf(t, helm(t, "template", release, chart, "--namespace="+namespace, "--set="+v.others(), "--set-json="+v.value+"="+v.json)))
}

func TestValues(t *testing.T) {
	defaults := map[string]map[string]unstructured.Unstructured{} // by the other values
	for _, test := range valueTests {
		t.Run(test.value+"="+test.json, func(t *testing.T) {
			others := test.others()
			if defaults[others] == nil {
				defaults[others] = byName(template(t, others))
			}
			without, with := defaults[others], test.render(t)
			if test.path == "" {
				if without[test.object].Object == nil || with[test.object].Object != nil {
					t.Errorf("%s exists by default: %t, and with the value: %t", test.object, without[test.object].Object != nil, with[test.object].Object != nil)
				}
				return
			}
			if with[test.object].Object == nil {
				t.Fatalf("the chart renders no %s", test.object)
			}
			if got := find(t, with[test.object], test.path); got != test.want {
				t.Errorf("%s of %s is %q, want %q", test.path, test.object, got, test.want)
			}
			if before := find(t, without[test.object], test.path); before == test.want {
				t.Errorf("%s of %s is %q also without the value", test.path, test.object, before)
			}
		})
	}
}

// find returns the text that a JSONPath finds in an object, "" if it finds none.
func find(t *testing.T, object unstructured.Unstructured, path string) string {
	t.Helper()
	search := jsonpath.New(path).AllowMissingKeys(true)
	if err := search.Parse("{" + path + "}"); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if object.Object == nil {
		return ""
	}
	if err := search.Execute(&text, object.Object); err != nil && !strings.Contains(err.Error(), "array index out of bounds") {
		t.Fatal(err)
	}
	return text.String()
}

func TestEveryValueHasATest(t *testing.T) {
	var tested []string
	for _, test := range valueTests {
		tested = append(tested, test.value)
	}
	for _, value := range values(t) {
		if !slices.Contains(tested, value.path) {
			t.Errorf("no test sets %s", value.path)
		}
	}
}

func TestCommonLabelsAreOnEveryObject(t *testing.T) {
	objects := template(t, "commonLabels.team=a", "networkPolicy.enabled=true", "serviceMonitor.enabled=true")
	objects = append(objects, template(t, "commonLabels.team=a", "certManager.enabled=true")...)
	for _, object := range objects {
		if labels := object.GetLabels(); labels["team"] != "a" || labels["app.kubernetes.io/managed-by"] != "Helm" {
			t.Errorf("%s %s has the labels %v", object.GetKind(), object.GetName(), labels)
		}
	}
}

// A rejected value names itself, so that the user finds it.
func TestInvalidValuesAreRejected(t *testing.T) {
	for set, want := range map[string]string{
		"replica=3":                            "additional properties 'replica' not allowed",
		"image.pullpolicy=Always":              "at '/image': additional properties 'pullpolicy' not allowed",
		"replicas=two":                         "at '/replicas': got string, want integer",
		"image.digest=sha256:1":                "at '/image/digest'",
		"logLevel=warn":                        "at '/logLevel'",
		"commonLabels.control-plane=a":         "at '/commonLabels/control-plane'",
		"webhook.timeoutSeconds=10":            "webhook.timeoutSeconds is 10, but a terminating operator finishes admission reviews within 9 s; set it to at most 9",
		"nameOverride=-x":                      "at '/nameOverride'",
		"fullnameOverride=1x":                  "at '/fullnameOverride'",
		"extraArgs[0]=--webhook-port=10250":    "extraArgs contains --webhook-port=10250, but the Service",
		"extraArgs[0]=--watch-namespaces=shop": "extraArgs contains --watch-namespaces=shop; use the value watchNamespaces",
		"extraArgs[0]=--graceful-shutdown-timeout=1m": "extraArgs contains --graceful-shutdown-timeout=1m, which the chart sets: the operator's grace period 20 s must be " +
			"more than its shutdown 10 s + its preStop hook 5 s; remove the argument",
	} {
		t.Run(set, func(t *testing.T) {
			if _, err := run(t, "HELM", "template", release, chart, "--set="+set); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
}
